/** Values from bytes (D-Bus Specification, "Marshaling (Wire Format)"). Nothing in a message makes it read beyond its end, or without end. */
import { DecodeError } from '../netlink/errors.ts';
import { decodeUtf8 } from '../netlink/text.ts';
import { alignmentOf, type BasicCode, parseSignature, type Type } from './type.ts';

/** The specification's limits: bytes of an array, and containers in each other. */
const MAX_ARRAY_BYTES = 1 << 26;
const MAX_DEPTH = 64;

/** Numbers of 64 bits are bigint, dictionaries Map, `ay` bytes, structs and other arrays lists; a variant is its value. */
export type Value = number | bigint | boolean | string | Uint8Array | readonly Value[] | ReadonlyMap<Value, Value>;

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  #at: number;

  constructor(bytes: Uint8Array, littleEndian: boolean, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#littleEndian = littleEndian;
    this.#at = at;
  }

  get offset(): number {
    return this.#at;
  }

  /** Values of all types of the signature. Throws DecodeError. */
  values(signature: string): readonly Value[] {
    return parseSignature(signature).map((type) => this.#value(type, 0));
  }

  /** Padding must be zero. Throws DecodeError. */
  align(to: number): void {
    const end = (this.#at + to - 1) & ~(to - 1);
    while (this.#at < end) {
      if (this.#byte() !== 0) throw new DecodeError(`padding that is not zero at offset ${this.#at - 1}`);
    }
  }

  #value(type: Type, depth: number): Value {
    if (depth > MAX_DEPTH) throw new DecodeError('values that are nested too deeply');
    switch (type.kind) {
      case 'basic':
        return this.#basic(type.code);
      case 'variant': {
        const types = parseSignature(this.#signature());
        const [only] = types;
        if (only === undefined || types.length > 1) throw new DecodeError('a variant of not just one type');
        return this.#value(only, depth + 1);
      }
      case 'struct':
        this.align(8);
        return type.fields.map((field) => this.#value(field, depth + 1));
      case 'array':
        return this.#array(type.of, depth + 1);
      case 'entry':
        throw new DecodeError('a dictionary entry outside of an array');
    }
  }

  #array(of: Type, depth: number): Value {
    const length = this.#number(4);
    if (length > MAX_ARRAY_BYTES) throw new DecodeError(`an array of ${length} bytes`);
    this.align(alignmentOf(of));
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new DecodeError(`an array of ${length} bytes at offset ${this.#at}`);
    if (of.kind === 'basic' && of.code === 'y') return this.#take(length).slice();
    if (of.kind === 'entry') {
      const entries = new Map<Value, Value>();
      while (this.#at < end) {
        this.align(8);
        const key = this.#value(of.key, depth);
        entries.set(key, this.#value(of.value, depth));
      }
      return this.#endingAt(end, entries);
    }
    const list: Value[] = [];
    while (this.#at < end) list.push(this.#value(of, depth));
    return this.#endingAt(end, list);
  }

  #endingAt<T>(end: number, value: T): T {
    if (this.#at !== end) throw new DecodeError(`an array that ends at ${this.#at} instead of ${end}`);
    return value;
  }

  #basic(code: BasicCode): Value {
    switch (code) {
      case 'y':
        return this.#byte();
      case 'b': {
        const value = this.#number(4);
        if (value > 1) throw new DecodeError(`a boolean of ${value}`);
        return value === 1;
      }
      case 'n':
        return (this.#number(2) << 16) >> 16;
      case 'q':
        return this.#number(2);
      case 'i':
        return this.#number(4) | 0;
      case 'u':
      case 'h':
        return this.#number(4);
      case 'x':
        return this.#view.getBigInt64(this.#aligned(8), this.#littleEndian);
      case 't':
        return this.#view.getBigUint64(this.#aligned(8), this.#littleEndian);
      case 'd':
        return this.#view.getFloat64(this.#aligned(8), this.#littleEndian);
      case 's':
      case 'o':
        return this.#text(this.#number(4));
      case 'g':
        return this.#signature();
    }
  }

  #signature(): string {
    return this.#text(this.#byte());
  }

  #byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  #number(width: 2 | 4): number {
    const at = this.#aligned(width);
    return width === 2 ? this.#view.getUint16(at, this.#littleEndian) : this.#view.getUint32(at, this.#littleEndian);
  }

  /** Where a number of that width stands; it is passed. */
  #aligned(width: number): number {
    this.align(width);
    const at = this.#at;
    this.#take(width);
    return at;
  }

  #text(length: number): string {
    const text = decodeUtf8(this.#take(length));
    if (this.#byte() !== 0) throw new DecodeError('a text without its final zero');
    return text;
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length)
      throw new DecodeError(`${length} bytes wanted at offset ${this.#at}, ${this.#bytes.length} there are`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
