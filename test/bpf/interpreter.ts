/**
 * Runs eBPF programs (RFC 9669) on memory made by hand, so that what they do can be tested for kernels that are not here.
 * It knows the instructions and helpers that the project's programs use, and stops at anything else. The verifier is not
 * part of it: that is the kernel's, in test/netns.
 */
import { MAPS, type MapDescriptors, type MapName } from '../../src/bpf/maps.ts';
import type { KernelWorld } from './kernel-world.ts';

const STACK_TOP = 0x7000_0000_0000n;
const STACK_BYTES = 512;
const CONTEXT = 0x7100_0000_0000n;
const MAP_VALUES = 0x7200_0000_0000n;
const MAX_STEPS = 10_000;
const U64 = (1n << 64n) - 1n;
const U32 = 0xffffffffn;
/** -E2BIG (errno.h): a map is full. */
const E2BIG = -7n;

/** A descriptor for each map. */
export const DESCRIPTORS: MapDescriptors = Object.fromEntries(
  Object.keys(MAPS).map((name, index) => [name, index + 3]),
) as Record<MapName, number>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Maps by key; arrays are full of zeros from the beginning. */
export class MemoryMaps {
  readonly #entries = new Map<MapName, Map<string, Uint8Array>>();
  readonly #full = new Set<MapName>();

  get(name: MapName, key: Uint8Array): Uint8Array | undefined {
    const entries = this.#of(name);
    if (MAPS[name].type === 2 && !entries.has(hex(key))) entries.set(hex(key), new Uint8Array(MAPS[name].valueBytes));
    return entries.get(hex(key));
  }

  set(name: MapName, key: Uint8Array, value: Uint8Array): void {
    if (key.length !== MAPS[name].keyBytes || value.length !== MAPS[name].valueBytes)
      throw new Error(`sizes of ${name}`);
    this.#of(name).set(hex(key), value.slice());
  }

  delete(name: MapName, key: Uint8Array): void {
    this.#of(name).delete(hex(key));
  }

  size(name: MapName): number {
    return this.#of(name).size;
  }

  /** From here on this map takes no new key. */
  fill(name: MapName): void {
    this.#full.add(name);
  }

  /** Whether there is room. */
  takes(name: MapName, key: Uint8Array): boolean {
    return !this.#full.has(name) || this.#of(name).has(hex(key));
  }

  #of(name: MapName): Map<string, Uint8Array> {
    let entries = this.#entries.get(name);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(name, entries);
    }
    return entries;
  }
}

export interface Run {
  readonly maps: MemoryMaps;
  readonly kernel: KernelWorld;
  /** The address of the current task. */
  readonly current: bigint;
  /** What r1 points to; the program may change it. */
  readonly context: Uint8Array;
  /** The kernel's own structure behind that. */
  readonly behindContext?: bigint;
  /** Of the current task's cgroup and those above it below the root, the outermost first. */
  readonly cgroupIds?: readonly bigint[];
  /** Results of helpers by number, for those that only return one. */
  readonly results?: Readonly<Record<number, bigint>>;
}

/** Returns r0. */
export function runProgram(program: Uint8Array, run: Run): bigint {
  return new Interpreter(program, run).run();
}

class Interpreter {
  readonly #code: DataView;
  readonly #run: Run;
  readonly #stack = new Uint8Array(STACK_BYTES);
  readonly #regions = new Map<bigint, Uint8Array>();
  readonly #registers: bigint[] = new Array<bigint>(11).fill(0n);
  #nextMapValue = MAP_VALUES;

  constructor(program: Uint8Array, run: Run) {
    this.#code = new DataView(program.buffer, program.byteOffset, program.byteLength);
    this.#run = run;
    // As garbage, so that nobody counts on zeros.
    this.#stack.fill(0xa5);
    this.#regions.set(STACK_TOP - BigInt(STACK_BYTES), this.#stack);
    this.#regions.set(CONTEXT, run.context);
    this.#registers[1] = CONTEXT;
    this.#registers[10] = STACK_TOP;
  }

  run(): bigint {
    let slot = 0;
    for (let step = 0; step < MAX_STEPS; step++) {
      const at = 8 * slot++;
      const opcode = this.#code.getUint8(at);
      const destination = this.#code.getUint8(at + 1) & 0x0f;
      const source = this.#code.getUint8(at + 1) >> 4;
      const offset = this.#code.getInt16(at + 2, true);
      const immediate = BigInt(this.#code.getInt32(at + 4, true));
      const operand = (opcode & 0x08) !== 0 ? this.#register(source) : immediate & U64;
      switch (opcode & 0x07) {
        case 0x00:
          if (opcode !== 0x18 || source !== 1) throw new Error(`opcode ${opcode}`);
          this.#registers[destination] = immediate;
          slot++;
          break;
        case 0x01:
          this.#registers[destination] = this.#load(this.#register(source) + BigInt(offset), widthOf(opcode));
          break;
        case 0x02:
          this.#store(this.#register(destination) + BigInt(offset), widthOf(opcode), immediate & U64);
          break;
        case 0x03: {
          const address = this.#register(destination) + BigInt(offset);
          const isAtomicAdd = (opcode & 0xe0) === 0xc0 && immediate === 0n;
          const before = isAtomicAdd ? this.#load(address, widthOf(opcode)) : 0n;
          this.#store(address, widthOf(opcode), before + this.#register(source));
          break;
        }
        case 0x04:
          this.#registers[destination] = calculate(opcode, this.#register(destination) & U32, operand & U32) & U32;
          break;
        case 0x07:
          this.#registers[destination] = calculate(opcode, this.#register(destination), operand) & U64;
          break;
        case 0x05:
          if (opcode === 0x95) return this.#register(0);
          if (opcode === 0x85) this.#call(Number(immediate));
          else if (opcode === 0x05 || compare(opcode, this.#register(destination), operand)) slot += offset;
          break;
        default:
          throw new Error(`opcode ${opcode}`);
      }
    }
    throw new Error(`no end after ${MAX_STEPS} steps`);
  }

  #register(number: number): bigint {
    return this.#registers[number] as bigint;
  }

  #place(address: bigint, length: number): { readonly bytes: Uint8Array; readonly at: number } {
    for (const [base, bytes] of this.#regions) {
      const at = Number(address - base);
      if (address >= base && at + length <= bytes.length) return { bytes, at };
    }
    throw new Error(`${length} bytes at 0x${address.toString(16)} are not the program's`);
  }

  #slice(address: bigint, length: number): Uint8Array {
    const { bytes, at } = this.#place(address, length);
    return bytes.subarray(at, at + length);
  }

  #load(address: bigint, width: number): bigint {
    return this.#slice(address, width).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  #store(address: bigint, width: number, value: bigint): void {
    const bytes = this.#slice(address, width);
    for (let index = 0; index < width; index++) bytes[index] = Number((value >> BigInt(8 * index)) & 0xffn);
  }

  #call(helper: number): void {
    const result = this.#helper(helper);
    // Lost in a call, by the calling convention.
    for (let register = 1; register <= 5; register++) this.#registers[register] = 0xdead_0000n + BigInt(register);
    this.#registers[0] = result & U64;
  }

  #helper(helper: number): bigint {
    const { maps, kernel, current, results = {} } = this.#run;
    const [, r1 = 0n, r2 = 0n, r3 = 0n] = this.#registers;
    const fixed = results[helper];
    if (fixed !== undefined) return fixed;
    switch (helper) {
      case 1: {
        const { name, key } = this.#mapArguments(r1, r2);
        const value = maps.get(name, key);
        if (value === undefined) return 0n;
        const address = this.#nextMapValue;
        this.#nextMapValue += 0x1000n;
        this.#regions.set(address, value);
        return address;
      }
      case 2: {
        const { name, key } = this.#mapArguments(r1, r2);
        if (!maps.takes(name, key)) return E2BIG;
        maps.set(name, key, this.#slice(r3, MAPS[name].valueBytes));
        return 0n;
      }
      case 3: {
        const { name, key } = this.#mapArguments(r1, r2);
        maps.delete(name, key);
        return 0n;
      }
      case 16:
        this.#slice(r1, Number(r2)).fill(0).set(Buffer.from('command'));
        return 0n;
      case 35:
        return current;
      case 123:
        return this.#run.cgroupIds?.[Number(r1) - 1] ?? 0n;
      case 113:
        this.#slice(r1, Number(r2)).set(kernel.read(this.#inKernel(r3), Number(r2)));
        return 0n;
      case 115: {
        const text = kernel.read(r3, Number(r2) - 1);
        const end = text.indexOf(0);
        const copied = end < 0 ? text : text.subarray(0, end);
        // What is behind the end stays as it was.
        this.#slice(r1, Number(r2)).set([...copied, 0]);
        return kernel.isReadable(r3) ? BigInt(copied.length + 1) : -14n;
      }
      default:
        throw new Error(`helper ${helper}`);
    }
  }

  /** To the kernel a context is the address of what it stands for. */
  #inKernel(address: bigint): bigint {
    const { behindContext } = this.#run;
    const isContext = behindContext !== undefined && address >= CONTEXT && address < MAP_VALUES;
    return isContext ? behindContext + (address - CONTEXT) : address;
  }

  #mapArguments(descriptor: bigint, keyAddress: bigint): { readonly name: MapName; readonly key: Uint8Array } {
    const found = Object.entries(DESCRIPTORS).find(([, fd]) => BigInt(fd) === descriptor);
    if (found === undefined) throw new Error(`no map ${descriptor}`);
    const name = found[0] as MapName;
    return { name, key: this.#slice(keyAddress, MAPS[name].keyBytes) };
  }
}

const WIDTHS: Readonly<Record<number, number>> = { 0: 4, 8: 2, 16: 1, 24: 8 };
const widthOf = (opcode: number): number => WIDTHS[opcode & 0x18] as number;

function calculate(opcode: number, left: bigint, right: bigint): bigint {
  switch (opcode & 0xf0) {
    case 0x00:
      return left + right;
    case 0x20:
      return left * right;
    case 0x30:
      return right === 0n ? 0n : left / right;
    case 0x40:
      return left | right;
    case 0x50:
      return left & right;
    case 0xb0:
      return right;
    default:
      throw new Error(`opcode ${opcode}`);
  }
}

function compare(opcode: number, left: bigint, right: bigint): boolean {
  switch (opcode & 0xf0) {
    case 0x10:
      return left === right;
    case 0x20:
      return left > right;
    case 0x30:
      return left >= right;
    case 0x50:
      return left !== right;
    case 0xa0:
      return left < right;
    case 0xb0:
      return left <= right;
    default:
      throw new Error(`opcode ${opcode}`);
  }
}
