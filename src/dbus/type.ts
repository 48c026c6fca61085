/** Types and signatures (D-Bus Specification, "Type System"). */
import { DecodeError } from '../netlink/errors.ts';

/** The specification's limits: of a signature's length, and of arrays and structs in each other. */
const MAX_SIGNATURE_LENGTH = 255;
const MAX_DEPTH = 32;

/** By their codes: y u8, b boolean, n i16, q u16, i i32, u u32, x i64, t u64, d double, s string, o path, g signature, h descriptor. */
export type BasicCode = 'y' | 'b' | 'n' | 'q' | 'i' | 'u' | 'x' | 't' | 'd' | 's' | 'o' | 'g' | 'h';

export type Type =
  | { readonly kind: 'basic'; readonly code: BasicCode }
  | { readonly kind: 'variant' }
  | { readonly kind: 'array'; readonly of: Type }
  | { readonly kind: 'struct'; readonly fields: readonly Type[] }
  /** Only as the element of an array. */
  | { readonly kind: 'entry'; readonly key: Type; readonly value: Type };

const BASIC = 'ybnqiuxtdsogh';

const isBasic = (code: string | undefined): code is BasicCode =>
  code !== undefined && code !== '' && BASIC.includes(code);

/** The complete types of a signature; none for an empty one. Throws DecodeError. */
export function parseSignature(signature: string): readonly Type[] {
  if (signature.length > MAX_SIGNATURE_LENGTH) throw new DecodeError(`a signature of ${signature.length} characters`);
  const types: Type[] = [];
  for (let at = 0; at < signature.length; ) {
    const { type, end } = completeType(signature, at, 0);
    types.push(type);
    at = end;
  }
  return types;
}

interface Parsed {
  readonly type: Type;
  readonly end: number;
}

function completeType(signature: string, at: number, depth: number): Parsed {
  if (depth > MAX_DEPTH) throw new DecodeError('a signature that is nested too deeply');
  const code = signature[at];
  if (isBasic(code)) return { type: { kind: 'basic', code }, end: at + 1 };
  switch (code) {
    case 'v':
      return { type: { kind: 'variant' }, end: at + 1 };
    case 'a': {
      const element = signature[at + 1] === '{' ? entryType(signature, at + 2, depth + 1) : undefined;
      const { type: of, end } = element ?? completeType(signature, at + 1, depth + 1);
      return { type: { kind: 'array', of }, end };
    }
    case '(':
      return structType(signature, at + 1, depth + 1);
    default:
      throw new DecodeError(`no type begins with ${JSON.stringify(code ?? '')}`);
  }
}

function structType(signature: string, start: number, depth: number): Parsed {
  const fields: Type[] = [];
  for (let at = start; ; ) {
    if (signature[at] === ')' && fields.length > 0) return { type: { kind: 'struct', fields }, end: at + 1 };
    const { type, end } = completeType(signature, at, depth);
    fields.push(type);
    at = end;
  }
}

function entryType(signature: string, start: number, depth: number): Parsed {
  const key = completeType(signature, start, depth);
  if (key.type.kind !== 'basic') throw new DecodeError('a key that is not of a basic type');
  const value = completeType(signature, key.end, depth);
  if (signature[value.end] !== '}') throw new DecodeError('a dictionary entry without its end');
  return { type: { kind: 'entry', key: key.type, value: value.type }, end: value.end + 1 };
}

/** To how many bytes a value of the type is aligned. */
export function alignmentOf(type: Type): 1 | 2 | 4 | 8 {
  switch (type.kind) {
    case 'variant':
      return 1;
    case 'array':
      return 4;
    case 'struct':
    case 'entry':
      return 8;
    case 'basic':
      return ALIGNMENTS[type.code];
  }
}

const ALIGNMENTS: Readonly<Record<BasicCode, 1 | 2 | 4 | 8>> = {
  ...{ y: 1, g: 1, n: 2, q: 2 },
  ...{ b: 4, i: 4, u: 4, s: 4, o: 4, h: 4 },
  ...{ x: 8, t: 8, d: 8 },
};
