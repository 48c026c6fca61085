/**
 * eBPF instructions as data (RFC 9669): registers, widths and operations by name, jumps to labels. `assembler.ts` makes bytes
 * of them. A program is a list of these; the functions below are its words.
 */

/** r0: result; r1 to r5: arguments, lost in a call; r6 to r9 are kept; r10: end of the stack, read only. */
export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r4' | 'r5' | 'r6' | 'r7' | 'r8' | 'r9' | 'r10';

export type Width = 'u8' | 'u16' | 'u32' | 'u64';

export type AluOperation =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'or'
  | 'and'
  | 'shift left'
  | 'shift right'
  | 'modulo'
  | 'xor'
  | 'move';

/** Comparisons are unsigned. `any bit`: left and right have one in common. */
export type Condition = 'equal' | 'not equal' | 'above' | 'at least' | 'below' | 'at most' | 'any bit';

/** A register, or a number of 32 bits; 64-bit operations extend its sign. */
export type Operand = Register | number;

export type Instruction =
  | {
      readonly kind: 'alu';
      readonly operation: AluOperation;
      /** With 32, the upper half of the destination becomes 0. */
      readonly bits: 32 | 64;
      readonly destination: Register;
      readonly source: Operand;
    }
  | {
      readonly kind: 'load';
      readonly width: Width;
      readonly destination: Register;
      readonly base: Register;
      readonly offset: number;
    }
  | {
      readonly kind: 'store';
      readonly width: Width;
      readonly base: Register;
      readonly offset: number;
      readonly source: Operand;
    }
  | {
      readonly kind: 'atomic add';
      readonly width: 'u32' | 'u64';
      readonly base: Register;
      readonly offset: number;
      readonly source: Register;
    }
  | { readonly kind: 'load map'; readonly destination: Register; readonly descriptor: number }
  | { readonly kind: 'goto'; readonly target: string }
  | {
      readonly kind: 'branch';
      readonly condition: Condition;
      readonly bits: 32 | 64;
      readonly left: Register;
      readonly right: Operand;
      readonly target: string;
    }
  | { readonly kind: 'label'; readonly name: string }
  | { readonly kind: 'call'; readonly function: number }
  | { readonly kind: 'exit' };

function alu(operation: AluOperation, bits: 32 | 64, destination: Register, source: Operand): Instruction {
  return { kind: 'alu', operation, bits, destination, source };
}

/** 64 bits. */
export const move = (destination: Register, source: Operand): Instruction => alu('move', 64, destination, source);
export const add = (destination: Register, source: Operand): Instruction => alu('add', 64, destination, source);
export const multiply = (destination: Register, source: Operand): Instruction =>
  alu('multiply', 64, destination, source);
export const divide = (destination: Register, source: Operand): Instruction => alu('divide', 64, destination, source);
/** 32 bits, for marks and flags: the upper half becomes 0. */
export const and32 = (destination: Register, source: Operand): Instruction => alu('and', 32, destination, source);
export const or32 = (destination: Register, source: Operand): Instruction => alu('or', 32, destination, source);

export const load = (width: Width, destination: Register, base: Register, offset: number): Instruction => ({
  kind: 'load',
  width,
  destination,
  base,
  offset,
});

export const store = (width: Width, base: Register, offset: number, source: Operand): Instruction => ({
  kind: 'store',
  width,
  base,
  offset,
  source,
});

export const atomicAdd = (base: Register, offset: number, source: Register): Instruction => ({
  kind: 'atomic add',
  width: 'u64',
  base,
  offset,
  source,
});

/** `descriptor`: of the map, in the process that loads the program. */
export const loadMap = (destination: Register, descriptor: number): Instruction => ({
  kind: 'load map',
  destination,
  descriptor,
});

export const label = (name: string): Instruction => ({ kind: 'label', name });
export const goto = (target: string): Instruction => ({ kind: 'goto', target });

/** All 64 bits are compared. */
export const branch = (left: Register, condition: Condition, right: Operand, target: string): Instruction => ({
  kind: 'branch',
  condition,
  bits: 64,
  left,
  right,
  target,
});

/** A call of a helper function, BPF_FUNC_*. */
export const call = (helperFunction: number): Instruction => ({ kind: 'call', function: helperFunction });
export const exit = (): Instruction => ({ kind: 'exit' });
