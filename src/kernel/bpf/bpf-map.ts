/** One BPF map, by its descriptor: bpf(2), Documentation/bpf/maps.rst. */
import { constants } from 'node:os';
import type { MapDescription } from '../../bpf/maps.ts';
import { lastKernelError } from '../errno.ts';
import { libc } from '../libc.ts';
import {
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_LOOKUP_BATCH,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_BATCH,
  BPF_MAP_UPDATE_ELEM,
  BpfAttribute,
  bpf,
  bpfOrThrow,
  creationRefusal,
} from './syscall.ts';

/** Sizes of the members of `union bpf_attr` for each kind of command. */
const CREATE_SIZE = 48;
const ELEMENT_SIZE = 32;
const BATCH_SIZE = 56;
const BATCH_COUNT_OFFSET = 32;
/** Elements that one batch reads. A bucket of a hash has to fit; the kernel makes as many buckets as elements. */
const READ_BATCH = 1024;
/** A batch lookup's place in a hash is a 32 bit number, whatever its keys are. */
const MIN_PLACE_BYTES = 4;

export class BpfMap implements Disposable {
  readonly fd: number;
  readonly #description: MapDescription;
  readonly #owned: boolean;
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  readonly #attribute: BpfAttribute;
  /** Deleting takes no value: the kernel refuses a pointer to one. */
  readonly #deletion: BpfAttribute;
  #closed = false;

  private constructor(fd: number, description: MapDescription, owned: boolean) {
    this.fd = fd;
    this.#description = description;
    this.#owned = owned;
    this.#key = new Uint8Array(description.keyBytes);
    this.#value = new Uint8Array(description.valueBytes);
    this.#attribute = new BpfAttribute(ELEMENT_SIZE).u32(0, fd).pointer(8, this.#key).pointer(16, this.#value);
    this.#deletion = new BpfAttribute(ELEMENT_SIZE).u32(0, fd).pointer(8, this.#key);
  }

  /** Throws KernelError. */
  static create(description: MapDescription): BpfMap {
    const { name, type, keyBytes, valueBytes, maxEntries, flags = 0 } = description;
    const attribute = new BpfAttribute(CREATE_SIZE)
      .u32(0, type)
      .u32(4, keyBytes)
      .u32(8, valueBytes)
      .u32(12, maxEntries)
      .u32(16, flags)
      .name(28, name);
    const fd = bpf(BPF_MAP_CREATE, attribute);
    if (fd < 0) throw creationRefusal('create BPF map', name);
    return new BpfMap(fd, description, true);
  }

  /** One that was made before, and of which this is the description; the descriptor is closed with it. */
  static adopt(fd: number, description: MapDescription): BpfMap {
    return new BpfMap(fd, description, true);
  }

  /** The map of another thread, which closes it. */
  static borrow(fd: number, description: MapDescription): BpfMap {
    return new BpfMap(fd, description, false);
  }

  get maxEntries(): number {
    return this.#description.maxEntries;
  }

  /** The value, in a buffer that the next call writes again. Throws KernelError. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#key.set(key);
    return this.#element(BPF_MAP_LOOKUP_ELEM, 'look up in BPF map') ? this.#value : undefined;
  }

  /** Adds or replaces. Throws KernelError: E2BIG where the map is full. */
  update(key: Uint8Array, value: Uint8Array): void {
    this.#key.set(key);
    this.#value.set(value);
    this.#element(BPF_MAP_UPDATE_ELEM, 'update BPF map');
  }

  /** Whether it was there. Throws KernelError. */
  delete(key: Uint8Array): boolean {
    this.#key.set(key);
    return this.#element(BPF_MAP_DELETE_ELEM, 'delete from BPF map', this.#deletion);
  }

  /** As many updates by one system call; of those before a refusal nobody can say which were made. Throws KernelError. */
  updateAll(elements: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]): void {
    if (elements.length === 0) return;
    const { keyBytes, valueBytes, name } = this.#description;
    const keys = new Uint8Array(elements.length * keyBytes);
    const values = new Uint8Array(elements.length * valueBytes);
    for (const [index, { key, value }] of elements.entries()) {
      keys.set(key, index * keyBytes);
      values.set(value, index * valueBytes);
    }
    const attribute = new BpfAttribute(BATCH_SIZE)
      .pointer(16, keys)
      .pointer(24, values)
      .u32(BATCH_COUNT_OFFSET, elements.length)
      .u32(36, this.fd);
    bpfOrThrow(BPF_MAP_UPDATE_BATCH, attribute, 'update BPF map', name);
  }

  /** Nothing is in the hash then, but what is added meanwhile. Throws KernelError. */
  clear(): void {
    for (const { key } of this.entries()) this.delete(key);
  }

  /** Everything in a hash; what changes meanwhile may be there or not. Throws KernelError. */
  entries(): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    const { keyBytes, valueBytes, name } = this.#description;
    const keys = new Uint8Array(READ_BATCH * keyBytes);
    const values = new Uint8Array(READ_BATCH * valueBytes);
    const place = new Uint8Array(Math.max(keyBytes, MIN_PLACE_BYTES));
    const attribute = new BpfAttribute(BATCH_SIZE).pointer(8, place).pointer(16, keys).pointer(24, values);
    attribute.u32(36, this.fd);
    const found: { readonly key: Uint8Array; readonly value: Uint8Array }[] = [];
    for (let atEnd = false; !atEnd; attribute.pointer(0, place)) {
      attribute.u32(BATCH_COUNT_OFFSET, READ_BATCH);
      if (bpf(BPF_MAP_LOOKUP_BATCH, attribute) < 0) {
        if (libc().errno() !== constants.errno.ENOENT) throw lastKernelError('read BPF map', name);
        atEnd = true;
      }
      const count = attribute.readU32(BATCH_COUNT_OFFSET);
      for (let index = 0; index < count; index += 1) {
        found.push({
          key: keys.slice(index * keyBytes, (index + 1) * keyBytes),
          value: values.slice(index * valueBytes, (index + 1) * valueBytes),
        });
      }
    }
    return found;
  }

  [Symbol.dispose](): void {
    if (this.#closed || !this.#owned) return;
    this.#closed = true;
    libc().close(this.fd);
  }

  /** False where the kernel says that there is no such element. */
  #element(command: number, operation: string, attribute = this.#attribute): boolean {
    if (bpf(command, attribute) >= 0) return true;
    // Asked of every packet that is held: an error with its stack would cost ten times as much as the call.
    if (libc().errno() === constants.errno.ENOENT) return false;
    throw lastKernelError(operation, this.#description.name);
  }
}
