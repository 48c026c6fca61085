/** The few phrases that rules are made of, so that a chain in the compiler reads like nft. */
import type { Expression, Field, Rule, Verdict } from './ruleset.ts';

export const rule = (...expressions: readonly Expression[]): Rule => ({ expressions });

export const verdict = (value: Verdict): Expression => ({ kind: 'verdict', verdict: value });
export const accept: Expression = verdict({ kind: 'accept' });
export const drop: Expression = verdict({ kind: 'drop' });
export const goto = (chain: string): Expression => verdict({ kind: 'goto', chain });
export const jump = (chain: string): Expression => verdict({ kind: 'jump', chain });

export const is = (field: Field, ...values: readonly (number | bigint | string)[]): Expression => ({
  kind: 'compare',
  field,
  values,
});
export const isNot = (field: Field, ...values: readonly (number | bigint | string)[]): Expression => ({
  kind: 'compare',
  field,
  negate: true,
  values,
});
export const inSet = (set: string, ...fields: readonly Field[]): Expression => ({ kind: 'lookup', fields, set });
export const vmap = (field: Field, map: string): Expression => ({ kind: 'vmap', field, map });

export const hashVmap = (
  fields: readonly Field[],
  { modulus, seed }: { readonly modulus: number; readonly seed: number },
  elements: readonly { readonly first: number; readonly last: number; readonly verdict: Verdict }[],
): Expression => ({ kind: 'hash vmap', fields, modulus, seed, elements });

/** Writes `value` into the bits of `mask` and keeps all others. */
export const setBits = (to: 'meta mark' | 'ct mark', mask: number, value: number): Expression => ({
  kind: 'set mark',
  to,
  keep: ~mask >>> 0,
  value: value >>> 0,
});
