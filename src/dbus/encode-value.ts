/** Bytes of values (D-Bus Specification, "Marshaling (Wire Format)"), little-endian. */
import { concatBytes, u16, u32, u64 } from '../netlink/bytes.ts';
import { encodeUtf8 } from '../netlink/text.ts';
import { alignmentOf, type BasicCode, parseSignature, type Type } from './type.ts';

/** As `Value`, but a variant says of which type it is. */
export type Encodable =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Encodable[]
  | ReadonlyMap<Encodable, Encodable>
  | Variant;

/** `signature`: of one complete type. */
export interface Variant {
  readonly signature: string;
  readonly variant: Encodable;
}

/** Throws TypeError where a value is not of its type: a mistake of the caller's. */
export function encodeValues(signature: string, values: readonly Encodable[]): Uint8Array {
  const types = parseSignature(signature);
  if (types.length !== values.length) throw new TypeError(`${values.length} values for the signature ${signature}`);
  const writer = new Writer();
  for (const [i, type] of types.entries()) writer.write(type, values[i] as Encodable);
  return concatBytes(writer.parts);
}

class Writer {
  readonly parts: Uint8Array[] = [];
  #length = 0;

  write(type: Type, value: Encodable): void {
    this.#align(alignmentOf(type));
    switch (type.kind) {
      case 'basic':
        this.#put(basicBytes(type.code, value));
        break;
      case 'variant': {
        const { signature, variant } = expect(isVariant(value) && value, 'variant');
        this.#put(basicBytes('g', signature));
        const [only] = parseSignature(signature);
        this.write(expect(only ?? false, 'type of a variant'), variant);
        break;
      }
      case 'struct': {
        const fields = expect(isList(value) && value.length === type.fields.length && value, 'struct');
        for (const [i, field] of type.fields.entries()) this.write(field, fields[i] as Encodable);
        break;
      }
      case 'entry': {
        const [key, of] = expect(isList(value) && value, 'dictionary entry');
        this.write(type.key, key as Encodable);
        this.write(type.value, of as Encodable);
        break;
      }
      case 'array':
        this.#array(type.of, value);
    }
  }

  #array(of: Type, value: Encodable): void {
    // The length does not count the padding before the first element.
    const at = this.parts.length;
    this.#put(u32(0));
    this.#align(alignmentOf(of));
    const start = this.#length;
    if (value instanceof Uint8Array) this.#put(value);
    else if (value instanceof Map)
      for (const entry of value as ReadonlyMap<Encodable, Encodable>) this.write(of, entry);
    else for (const element of expect(isList(value) && value, 'array')) this.write(of, element);
    this.parts[at] = u32(this.#length - start);
  }

  #align(to: number): void {
    const padding = -this.#length & (to - 1);
    if (padding > 0) this.#put(new Uint8Array(padding));
  }

  #put(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.#length += bytes.length;
  }
}

function basicBytes(code: BasicCode, value: Encodable): Uint8Array {
  switch (code) {
    case 'b':
      return u32(value === true ? 1 : 0);
    case 's':
    case 'o':
    case 'g': {
      const bytes = encodeUtf8(expect(typeof value === 'string' && { value }, 'text').value);
      if (bytes.includes(0)) throw new TypeError('a text cannot hold a zero');
      const length = code === 'g' ? new Uint8Array([bytes.length]) : u32(bytes.length);
      return concatBytes([length, bytes, new Uint8Array(1)]);
    }
    case 'x':
    case 't':
      return u64(BigInt.asUintN(64, BigInt(value as bigint)));
    case 'd': {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, Number(value), true);
      return bytes;
    }
    case 'y':
      return new Uint8Array([Number(value)]);
    case 'n':
    case 'q':
      return u16(Number(value) & 0xffff);
    case 'i':
    case 'u':
    case 'h':
      return u32(Number(value) >>> 0);
  }
}

const isList = (value: Encodable): value is readonly Encodable[] => Array.isArray(value);

const isVariant = (value: Encodable): value is Variant => typeof value === 'object' && 'variant' in value;

function expect<T extends object>(value: T | false, what: string): T {
  if (value === false) throw new TypeError(`this is no ${what}`);
  return value;
}
