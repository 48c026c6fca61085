/** Instructions to bytes: RFC 9669, sections 3 to 5; little-endian. */
import { AssemblyError } from './errors.ts';
import type { AluOperation, Condition, Instruction, Operand, Register, Width } from './instruction.ts';

export const INSTRUCTION_BYTES = 8;
/** BPF_MAXINSNS: more than enough for anything here. */
export const MAX_INSTRUCTIONS = 4096;

const BPF_LD = 0x00;
const BPF_LDX = 0x01;
const BPF_ST = 0x02;
const BPF_STX = 0x03;
const BPF_ALU = 0x04;
const BPF_JMP = 0x05;
const BPF_JMP32 = 0x06;
const BPF_ALU64 = 0x07;

const BPF_IMM = 0x00;
const BPF_MEM = 0x60;
const BPF_ATOMIC = 0xc0;
/** Operation of BPF_ATOMIC, in the immediate. */
const BPF_ADD = 0x00;

/** Where the source operand is: the immediate or a register. */
const BPF_K = 0x00;
const BPF_X = 0x08;

const BPF_JA = 0x00;
const BPF_CALL = 0x80;
const BPF_EXIT = 0x90;
/** Source register of a 64-bit immediate load that says: the immediate is a map's descriptor. */
const BPF_PSEUDO_MAP_FD = 1;

const WIDTHS: Readonly<Record<Width, number>> = { u32: 0x00, u16: 0x08, u8: 0x10, u64: 0x18 };

const ALU_OPERATIONS: Readonly<Record<AluOperation, number>> = {
  add: 0x00,
  subtract: 0x10,
  multiply: 0x20,
  divide: 0x30,
  or: 0x40,
  and: 0x50,
  'shift left': 0x60,
  'shift right': 0x70,
  modulo: 0x90,
  xor: 0xa0,
  move: 0xb0,
};

const CONDITIONS: Readonly<Record<Condition, number>> = {
  equal: 0x10,
  above: 0x20,
  'at least': 0x30,
  'any bit': 0x40,
  'not equal': 0x50,
  below: 0xa0,
  'at most': 0xb0,
};

/** Throws AssemblyError: an unknown or repeated label, a jump, an offset or a number that does not fit. */
export function assemble(program: readonly Instruction[]): Uint8Array {
  const places = placeLabels(program);
  const slots = program.reduce((sum, instruction) => sum + slotsOf(instruction), 0);
  if (slots > MAX_INSTRUCTIONS) throw new AssemblyError(`${slots} instructions are more than ${MAX_INSTRUCTIONS}`);
  const bytes = new Uint8Array(slots * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  let slot = 0;
  for (const instruction of program) {
    for (const encoded of encode(instruction, slot, places)) write(view, slot++ * INSTRUCTION_BYTES, encoded);
  }
  return bytes;
}

function slotsOf(instruction: Instruction): number {
  switch (instruction.kind) {
    case 'label':
      return 0;
    case 'load map':
      return 2;
    default:
      return 1;
  }
}

function placeLabels(program: readonly Instruction[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  let slot = 0;
  for (const instruction of program) {
    if (instruction.kind === 'label') {
      if (places.has(instruction.name)) throw new AssemblyError(`the label ${instruction.name} is there twice`);
      places.set(instruction.name, slot);
    }
    slot += slotsOf(instruction);
  }
  return places;
}

/** One slot: `struct bpf_insn`. */
interface Encoded {
  readonly opcode: number;
  readonly destination?: Register;
  readonly source?: Register | typeof BPF_PSEUDO_MAP_FD;
  readonly offset?: number;
  readonly immediate?: number;
}

/** The source operand's part of a slot. */
function operand(source: Operand): { readonly opcode: number; readonly part: Partial<Encoded> } {
  return typeof source === 'number'
    ? { opcode: BPF_K, part: { immediate: source } }
    : { opcode: BPF_X, part: { source } };
}

function encode(instruction: Instruction, slot: number, places: ReadonlyMap<string, number>): readonly Encoded[] {
  switch (instruction.kind) {
    case 'label':
      return [];
    case 'alu': {
      const { opcode, part } = operand(instruction.source);
      const bits = instruction.bits === 64 ? BPF_ALU64 : BPF_ALU;
      const operation = ALU_OPERATIONS[instruction.operation];
      return [{ opcode: bits | opcode | operation, destination: instruction.destination, ...part }];
    }
    case 'load': {
      const { width, destination, base, offset } = instruction;
      return [{ opcode: BPF_LDX | BPF_MEM | WIDTHS[width], destination, source: base, offset }];
    }
    case 'store': {
      const { width, base, offset, source } = instruction;
      const kind = typeof source === 'number' ? BPF_ST : BPF_STX;
      return [{ opcode: kind | BPF_MEM | WIDTHS[width], destination: base, offset, ...operand(source).part }];
    }
    case 'atomic add': {
      const { width, base, offset, source } = instruction;
      const opcode = BPF_STX | BPF_ATOMIC | WIDTHS[width];
      return [{ opcode, destination: base, source, offset, immediate: BPF_ADD }];
    }
    case 'load map': {
      const { destination, descriptor } = instruction;
      const opcode = BPF_LD | BPF_IMM | WIDTHS.u64;
      return [{ opcode, destination, source: BPF_PSEUDO_MAP_FD, immediate: descriptor }, { opcode: 0 }];
    }
    case 'goto':
      return [{ opcode: BPF_JMP | BPF_JA, offset: distance(instruction.target, slot, places) }];
    case 'branch': {
      const { opcode, part } = operand(instruction.right);
      const bits = instruction.bits === 64 ? BPF_JMP : BPF_JMP32;
      const offset = distance(instruction.target, slot, places);
      return [
        { opcode: bits | opcode | CONDITIONS[instruction.condition], destination: instruction.left, offset, ...part },
      ];
    }
    case 'call':
      return [{ opcode: BPF_JMP | BPF_CALL, immediate: instruction.function }];
    case 'exit':
      return [{ opcode: BPF_JMP | BPF_EXIT }];
  }
}

/** In slots, from the one after the jump. */
function distance(target: string, slot: number, places: ReadonlyMap<string, number>): number {
  const place = places.get(target);
  if (place === undefined) throw new AssemblyError(`there is no label ${target}`);
  return place - (slot + 1);
}

function write(view: DataView, at: number, { opcode, destination, source, offset = 0, immediate = 0 }: Encoded): void {
  if (!Number.isInteger(offset) || offset < -0x8000 || offset > 0x7fff)
    throw new AssemblyError(`the offset ${offset} does not fit 16 bits`);
  view.setUint8(at, opcode);
  view.setUint8(at + 1, (registerNumber(source) << 4) | registerNumber(destination));
  view.setInt16(at + 2, offset, true);
  view.setInt32(at + 4, checkImmediate(opcode, immediate), true);
}

function registerNumber(register: Register | number | undefined): number {
  if (register === undefined) return 0;
  return typeof register === 'number' ? register : Number(register.slice(1));
}

/**
 * Where 32 bits are meant, a number may be given with or without sign. Where 64 are, the sign is extended: a positive number
 * with bit 31 would become another one.
 */
function checkImmediate(opcode: number, immediate: number): number {
  const instructionClass = opcode & 0x07;
  const is32 =
    instructionClass === BPF_ALU || instructionClass === BPF_JMP32 || opcode === (BPF_ST | BPF_MEM | WIDTHS.u32);
  const most = is32 ? 0xffffffff : 0x7fffffff;
  if (!Number.isInteger(immediate) || immediate < -0x80000000 || immediate > most)
    throw new AssemblyError(`the number ${immediate} does not fit 32 bits`);
  return immediate | 0;
}
