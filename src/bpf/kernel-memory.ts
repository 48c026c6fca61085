/**
 * Pieces of programs that read the kernel's memory and maps. `slot` is an offset from the end of the stack, negative.
 * All of them change r0 to r5.
 */
import {
  add,
  atomicAdd,
  branch,
  call,
  type Instruction,
  load,
  loadMap,
  move,
  type Register,
  store,
} from './instruction.ts';
import {
  BPF_ANY,
  BPF_FUNC_map_delete_elem,
  BPF_FUNC_map_lookup_elem,
  BPF_FUNC_map_update_elem,
  BPF_FUNC_probe_read_kernel,
  BPF_FUNC_probe_read_kernel_str,
} from './uapi.ts';

/** The address of a place on the stack. */
export const stackAddress = (destination: Register, slot: number): readonly Instruction[] => [
  move(destination, 'r10'),
  add(destination, slot),
];

/** Copies `bytes` from `base` + `offset` to the stack; zeros where nothing can be read there, as behind a null pointer. */
export function read(slot: number, bytes: number, base: Register, offset: number): readonly Instruction[] {
  return [
    // First, as `base` may be one of the registers that follow.
    move('r3', base),
    add('r3', offset),
    ...stackAddress('r1', slot),
    move('r2', bytes),
    call(BPF_FUNC_probe_read_kernel),
  ];
}

/**
 * Copies the text at `address` to the stack, `bytes` at most with its NUL. r0: bytes with the NUL, or a negative errno; 1 where there
 * is no text.
 */
export function readText(slot: number, bytes: number, address: Register): readonly Instruction[] {
  return [move('r3', address), ...stackAddress('r1', slot), move('r2', bytes), call(BPF_FUNC_probe_read_kernel_str)];
}

/** `destination` = the pointer at `base` + `offset`, by way of 8 bytes at `slot`. 0 where there is none. */
export function follow(destination: Register, base: Register, offset: number, slot: number): readonly Instruction[] {
  return [...read(slot, 8, base, offset), load('u64', destination, 'r10', slot)];
}

/** r0 = address of the value whose key is at `keySlot`, or 0. */
export function lookup(descriptor: number, keySlot: number): readonly Instruction[] {
  return [loadMap('r1', descriptor), ...stackAddress('r2', keySlot), call(BPF_FUNC_map_lookup_elem)];
}

/** Creates or replaces an entry; what cannot be kept is not: then r0 is a negative errno. */
export function update(descriptor: number, keySlot: number, valueSlot: number): readonly Instruction[] {
  return [
    loadMap('r1', descriptor),
    ...stackAddress('r2', keySlot),
    ...stackAddress('r3', valueSlot),
    move('r4', BPF_ANY),
    call(BPF_FUNC_map_update_elem),
  ];
}

export function remove(descriptor: number, keySlot: number): readonly Instruction[] {
  return [loadMap('r1', descriptor), ...stackAddress('r2', keySlot), call(BPF_FUNC_map_delete_elem)];
}

/** Adds one to a counter. `indexSlot`: 4 bytes. Jumps to `otherwise` where there is none. */
export function count(
  counters: number,
  index: number,
  { indexSlot, otherwise }: { readonly indexSlot: number; readonly otherwise: string },
): readonly Instruction[] {
  return [
    store('u32', 'r10', indexSlot, index),
    ...lookup(counters, indexSlot),
    branch('r0', 'equal', 0, otherwise),
    move('r1', 1),
    atomicAdd('r0', 0, 'r1'),
  ];
}
