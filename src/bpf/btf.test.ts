import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Btf, findMember, memberOffset, parseBtf, structSize } from './btf.ts';
import { BtfError } from './errors.ts';
import { kernelLayout } from './kernel-layout.ts';

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`testdata/${name}.btf`, import.meta.url)));
const LINUX_6_18 = fixture('linux-6.18');
const LINUX_6_1 = fixture('linux-6.1');

const INT = 1;
const PTR = 2;
const ARRAY = 3;
const STRUCT = 4;
const UNION = 5;
const TYPEDEF = 8;
const CONST = 10;
const KIND_FLAG = 0x80000000;

interface TypeSource {
  readonly kind: number;
  readonly name?: string;
  /** Count and flag, in `info`. */
  readonly info?: number;
  readonly sizeOrType: number;
  /** What follows; a text is the offset of that name. */
  readonly rest?: readonly (number | string)[];
}

/** Type information by hand; `types[0]` is number 1. */
function makeBtf(types: readonly TypeSource[], { littleEndian = true, headerBytes = 24 } = {}): Uint8Array {
  const names: string[] = [''];
  const offsetOf = (name: string): number => {
    if (!names.includes(name)) names.push(name);
    return names.slice(0, names.indexOf(name)).reduce((sum, before) => sum + before.length + 1, 0);
  };
  const words = types.flatMap(({ kind, name = '', info = 0, sizeOrType, rest = [] }) => [
    offsetOf(name),
    ((kind << 24) | info) >>> 0,
    sizeOrType,
    ...rest.map((word) => (typeof word === 'string' ? offsetOf(word) : word)),
  ]);
  const strings = new TextEncoder().encode(names.map((name) => `${name}\0`).join(''));
  const bytes = new Uint8Array(headerBytes + 4 * words.length + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, littleEndian);
  view.setUint8(2, 1);
  const header = [headerBytes, 0, 4 * words.length, 4 * words.length, strings.length];
  for (const [index, word] of header.entries()) view.setUint32(4 + 4 * index, word, littleEndian);
  for (const [index, word] of words.entries()) view.setUint32(headerBytes + 4 * index, word, littleEndian);
  bytes.set(strings, headerBytes + 4 * words.length);
  return bytes;
}

const u32: TypeSource = { kind: INT, name: 'u32', sizeOrType: 4, rest: [32] };
const struct = (name: string, sizeOrType: number, rest: readonly (number | string)[], flag = 0): TypeSource => ({
  kind: STRUCT,
  name,
  info: (rest.length / 3) | flag,
  sizeOrType,
  rest,
});
const parse = (...types: readonly TypeSource[]): Btf => parseBtf(makeBtf(types));

/** Whether it gave an answer; any error but BtfError is let through. */
function answers(ask: () => unknown): boolean {
  try {
    ask();
    return true;
  } catch (error) {
    if (error instanceof BtfError) return false;
    throw error;
  }
}

describe('parseBtf()', () => {
  it('parseBtf() reads what kernels have', () => {
    expect(parseBtf(LINUX_6_18).types).toHaveLength(420);
    expect(parseBtf(LINUX_6_1).types).toHaveLength(427);
  });

  it('parseBtf() skips every kind that there is', () => {
    const trailers = [1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
    const perMember = [0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3];
    const types = trailers.map((fixed, index) => {
      const each = perMember[index] ?? 0;
      const rest = new Array(fixed + 2 * each).fill(0);
      return { kind: index + 1, info: each > 0 ? 2 : 0, sizeOrType: 0, rest };
    });
    const btf = parse(...types, struct('last', 12, ['a', types.length + 2, 0]), u32);
    expect(structSize(btf, 'last')).toBe(12);
    expect(memberOffset(btf, 'last', 'a', 4)).toBe(0);
  });

  it('parseBtf() reads either byte order, and a longer header', () => {
    const types = [u32, struct('s', 8, ['a', 1, 0, 'b', 1, 32])];
    for (const options of [{ littleEndian: false }, { headerBytes: 40 }]) {
      expect(memberOffset(parseBtf(makeBtf(types, options)), 's', 'b')).toBe(4);
    }
    expect(parseBtf(makeBtf(types, { littleEndian: false })).littleEndian).toBe(false);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['another magic number', makeBtf([u32]).fill(0, 0, 2)],
    ['another version', makeBtf([u32]).fill(2, 2, 3)],
    ['a short header', makeBtf([u32]).fill(8, 4, 5)],
    ['types beyond the end', makeBtf([u32]).fill(0xff, 12, 13)],
    ['names beyond the end', makeBtf([u32]).fill(0xff, 20, 21)],
    ['a kind that is not known', makeBtf([{ kind: 20, sizeOrType: 0 }])],
    ['kind 0', makeBtf([{ kind: 0, sizeOrType: 0 }])],
    ['a type with more members than there are', makeBtf([{ kind: STRUCT, info: 9, sizeOrType: 4 }])],
    ['a last name without end', makeBtf([u32]).fill(65, -1)],
  ])('parseBtf() refuses %s', (_what, bytes) => {
    expect(() => parseBtf(bytes)).toThrow(BtfError);
  });

  it.each([
    ['6.18', LINUX_6_18],
    ['6.1', LINUX_6_1],
  ])('parseBtf() gives only BtfError for %s cut off', (_version, bytes) => {
    for (let length = 0; length < bytes.length; length += 97) {
      expect(answers(() => parseBtf(bytes.slice(0, length)))).toBe(false);
    }
  });

  it.each([
    ['6.18', LINUX_6_18],
    ['6.1', LINUX_6_1],
  ])('kernelLayout() gives only BtfError for %s with bits flipped', (_version, bytes) => {
    const flip = fc.tuple(fc.nat(bytes.length - 1), fc.nat(7));
    const outcomes = new Set<boolean>();
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 64 }), (flips) => {
        const damaged = bytes.slice();
        for (const [offset, bit] of flips) damaged[offset] = (damaged[offset] as number) ^ (1 << bit);
        outcomes.add(answers(() => kernelLayout(parseBtf(damaged))));
      }),
      { numRuns: 500 },
    );
    expect(outcomes).toEqual(new Set([true, false]));
  });

  it('findMember() gives only BtfError for types made at random', () => {
    const word = fc.oneof(fc.nat(12), fc.constantFrom('', 'a', 's'), fc.nat(0xffffffff));
    const type = fc.record({
      kind: fc.integer({ min: 1, max: 19 }),
      name: fc.constantFrom('', 's', 'a'),
      info: fc.oneof(fc.nat(4), fc.constant(KIND_FLAG | 2)),
      sizeOrType: fc.nat(12),
      rest: fc.array(word, { maxLength: 12 }),
    });
    fc.assert(
      fc.property(fc.array(type, { maxLength: 12 }), (types) => {
        answers(() => findMember(parse(...types), 's', 'a.a'));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('findMember()', () => {
  it('findMember() finds a member in a structure and a union without names', () => {
    const btf = parse(
      u32,
      { kind: UNION, info: 1, sizeOrType: 4, rest: ['deep', 1, 0] },
      struct('', 8, ['', 2, 32]),
      struct('outer', 16, ['first', 1, 0, '', 3, 64]),
    );
    expect(findMember(btf, 'outer', 'deep')).toEqual({ offset: 12, size: 4, type: 1 });
  });

  it('findMember() goes through typedefs and qualifiers, and along a path', () => {
    const btf = parse(
      u32,
      { kind: CONST, sizeOrType: 1 },
      struct('inner', 8, ['a', 1, 0, 'b', 2, 32]),
      { kind: TYPEDEF, name: 'inner_t', sizeOrType: 3 },
      struct('outer', 16, ['x', 1, 0, 'in', 4, 64]),
    );
    expect(findMember(btf, 'outer', 'in.b')).toEqual({ offset: 12, size: 4, type: 1 });
    expect(() => findMember(btf, 'outer', 'x.b')).toThrow('struct outer has no member x.b');
  });

  it('findMember() knows the sizes of pointers and arrays', () => {
    const btf = parse(
      u32,
      { kind: PTR, sizeOrType: 0 },
      { kind: ARRAY, sizeOrType: 0, rest: [1, 1, 6] },
      struct('s', 40, ['p', 2, 0, 'numbers', 3, 64]),
    );
    expect(memberOffset(btf, 's', 'p', 8)).toBe(0);
    expect(findMember(btf, 's', 'numbers')).toMatchObject({ offset: 8, size: 24 });
    expect(() => memberOffset(btf, 's', 'p', 4)).toThrow('member p of struct s has 8 bytes, not 4');
  });

  it('findMember() passes over a structure of the same name without the member', () => {
    const btf = parse(u32, struct('s', 4, ['other', 1, 0]), struct('s', 8, ['pad', 1, 0, 'wanted', 1, 32]));
    expect(memberOffset(btf, 's', 'wanted')).toBe(4);
  });

  it('findMember() does not take the beginning of a name for the name', () => {
    const btf = parse(u32, struct('s', 8, ['mmap', 1, 0, 'mm', 1, 32]));
    expect(memberOffset(btf, 's', 'mm')).toBe(4);
    expect(() => findMember(btf, 's', 'm')).toThrow(BtfError);
    expect(() => findMember(btf, 'ss', 'mm')).toThrow('there is no struct ss');
  });

  it.each([
    ['with the kind flag', parse(u32, struct('s', 4, ['a', 1, (3 << 24) | 0], KIND_FLAG))],
    ['by an integer of fewer bits', parse({ ...u32, rest: [3] }, struct('s', 4, ['a', 1, 0]))],
    ['by an offset in the integer', parse({ ...u32, rest: [(8 << 16) | 32] }, struct('s', 4, ['a', 1, 0]))],
    ['between bytes', parse(u32, struct('s', 8, ['a', 1, 4]))],
  ])('findMember() refuses a bit field %s', (_how, btf) => {
    expect(() => findMember(btf, 's', 'a')).toThrow('a is a bit field');
  });

  it('findMember() ends where types go round in circles', () => {
    const named = parse({ kind: TYPEDEF, name: 't', sizeOrType: 1 }, struct('s', 4, ['a', 1, 0]));
    expect(() => findMember(named, 's', 'a')).toThrow('names deep');
    const nested = parse(struct('s', 4, ['', 1, 0]));
    expect(() => findMember(nested, 's', 'a')).toThrow('deep in each other');
    // Each level would double the work.
    const wide = parse(
      struct('', 4, []),
      ...[0, 1, 2].map((index) => struct(index === 2 ? 's' : '', 4, wideMembers(index))),
    );
    expect(() => findMember(wide, 's', 'a')).toThrow('members to find a');
    const array = parse({ kind: ARRAY, sizeOrType: 0, rest: [1, 1, 1] }, struct('s', 4, ['a', 1, 0]));
    expect(() => findMember(array, 's', 'a')).toThrow('dimensions');
    const huge = parse({ kind: ARRAY, sizeOrType: 0, rest: [1, 1, 0x10000] }, struct('s', 4, ['a', 1, 0]));
    expect(() => findMember(huge, 's', 'a')).toThrow('a size of');
  });
});

/** A thousand members without a name, each of the type before. */
function wideMembers(index: number): readonly (number | string)[] {
  return Array.from({ length: 1000 }, () => ['', index + 1, 0]).flat();
}
