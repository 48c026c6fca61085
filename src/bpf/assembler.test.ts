import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble, MAX_INSTRUCTIONS } from './assembler.ts';
import { AssemblyError } from './errors.ts';
import {
  add,
  and32,
  atomicAdd,
  branch,
  call,
  divide,
  exit,
  goto,
  type Instruction,
  label,
  load,
  loadMap,
  move,
  multiply,
  or32,
  store,
} from './instruction.ts';

function hex(...program: readonly Instruction[]): readonly string[] {
  const text = Array.from(assemble(program), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return text.match(/.{16}/g) ?? [];
}

describe('assemble()', () => {
  /** As clang -target bpf encodes them; in comments as llvm-objdump prints them. */
  it.each<readonly [text: string, instruction: Instruction, bytes: readonly string[]]>([
    ['r6 = r1', move('r6', 'r1'), ['bf16000000000000']],
    ['r0 = 1', move('r0', 1), ['b700000001000000']],
    ['r1 += -112', add('r1', -112), ['0701000090ffffff']],
    ['r9 += r1', add('r9', 'r1'), ['0f19000000000000']],
    ['r1 *= 16', multiply('r1', 16), ['2701000010000000']],
    ['r1 /= 10000000', divide('r1', 10_000_000), ['3701000080969800']],
    ['w1 &= 0x7fffffff', and32('r1', 0x7fffffff), ['54010000ffffff7f']],
    ['w1 &= 0xff00ffff', and32('r1', 0xff00ffff), ['54010000ffff00ff']],
    ['w9 |= -0x7fff8000', or32('r9', 0x80008000), ['4409000000800080']],
    ['w9 |= w2', or32('r9', 'r2'), ['4c29000000000000']],
    ['r1 = *(u32 *)(r6 + 16)', load('u32', 'r1', 'r6', 16), ['6161100000000000']],
    ['r9 = *(u64 *)(r10 - 8)', load('u64', 'r9', 'r10', -8), ['79a9f8ff00000000']],
    ['r1 = *(u8 *)(r2 + 0)', load('u8', 'r1', 'r2', 0), ['7121000000000000']],
    ['r1 = *(u16 *)(r2 + 2)', load('u16', 'r1', 'r2', 2), ['6921020000000000']],
    ['*(u32 *)(r6 + 16) = r1', store('u32', 'r6', 16, 'r1'), ['6316100000000000']],
    ['*(u64 *)(r10 - 16) = r7', store('u64', 'r10', -16, 'r7'), ['7b7af0ff00000000']],
    ['*(u64 *)(r10 - 112) = 0', store('u64', 'r10', -112, 0), ['7a0a90ff00000000']],
    ['*(u32 *)(r10 - 28) = 2', store('u32', 'r10', -28, 2), ['620ae4ff02000000']],
    ['lock *(u64 *)(r0 + 0) += r1', atomicAdd('r0', 0, 'r1'), ['db10000000000000']],
    ['r1 = map 5 ll', loadMap('r1', 5), ['1811000005000000', '0000000000000000']],
    ['call 113', call(113), ['8500000071000000']],
    ['exit', exit(), ['9500000000000000']],
  ])('assemble() encodes %s', (_text, instruction, bytes) => {
    expect(hex(instruction)).toEqual(bytes);
  });

  it('assemble() counts jumps from the next slot, labels as none and map loads as two', () => {
    expect(
      hex(
        label('top'),
        branch('r1', 'equal', 0, 'end'),
        loadMap('r2', 3),
        branch('r1', 'not equal', 'r2', 'top'),
        goto('end'),
        label('end'),
        exit(),
      ),
    ).toEqual([
      '1501040000000000',
      '1812000003000000',
      '0000000000000000',
      '5d21fcff00000000',
      '0500000000000000',
      '9500000000000000',
    ]);
  });

  it.each([
    ['equal', '15', '1d'],
    ['not equal', '55', '5d'],
    ['above', '25', '2d'],
    ['at least', '35', '3d'],
    ['below', 'a5', 'ad'],
    ['at most', 'b5', 'bd'],
    ['any bit', '45', '4d'],
  ] as const)('assemble() encodes the comparison %s', (condition, immediate, register) => {
    expect(hex(label('a'), branch('r3', condition, 7, 'a'))).toEqual([`${immediate}03ffff07000000`]);
    expect(hex(label('a'), branch('r3', condition, 'r4', 'a'))).toEqual([`${register}43ffff00000000`]);
    const narrow = { kind: 'branch', bits: 32, condition, left: 'r3', right: 0xffffffff, target: 'a' } as const;
    const opcode = (Number.parseInt(immediate, 16) | 1) + 0;
    expect(hex(label('a'), narrow)[0]).toBe(`${opcode.toString(16).replace(/5$/, '6')}03ffffffffffff`);
  });

  it.each<readonly [what: string, program: readonly Instruction[], message: string]>([
    ['a jump to nowhere', [goto('x')], 'there is no label x'],
    ['a label that is there twice', [label('x'), exit(), label('x')], 'the label x is there twice'],
    ['an offset of more than 16 bits', [load('u8', 'r0', 'r1', 0x8000)], 'the offset 32768 does not fit 16 bits'],
    ['an offset that is no integer', [load('u8', 'r0', 'r1', 0.5)], 'the offset 0.5 does not fit 16 bits'],
    ['a number whose sign would be extended', [move('r0', 0x80000000)], 'the number 2147483648 does not fit 32 bits'],
    ['a number of more than 32 bits', [or32('r0', 2 ** 32)], 'the number 4294967296 does not fit 32 bits'],
    ['a number that is not one', [move('r0', Number.NaN)], 'the number NaN does not fit 32 bits'],
    [
      'a program that is too long',
      new Array(MAX_INSTRUCTIONS + 1).fill(exit()),
      '4097 instructions are more than 4096',
    ],
  ])('assemble() refuses %s', (_what, program, message) => {
    expect(() => assemble(program)).toThrow(new AssemblyError(message));
  });

  it('assemble() puts every jump where its label is', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), (before, after) => {
        const filler = (count: number): Instruction[] => new Array(count).fill(exit());
        const bytes = assemble([...filler(before), goto('x'), ...filler(after), label('x'), goto('x')]);
        const view = new DataView(bytes.buffer);
        expect(view.getInt16(8 * before + 2, true)).toBe(after);
        expect(view.getInt16(bytes.length - 6, true)).toBe(-1);
      }),
    );
  });
});
