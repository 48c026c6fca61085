/** Phrases about marks and hooks that several chains are made of. */
import { MARK_OURS } from '../reserved.ts';
import { is } from './expressions.ts';
import type { Expression, Hook } from './ruleset.ts';

export const ctBits = (mask: number): { readonly kind: 'ct mark'; readonly mask: number } => ({
  kind: 'ct mark',
  mask,
});
export const metaBits = (mask: number): { readonly kind: 'meta mark'; readonly mask: number } => ({
  kind: 'meta mark',
  mask,
});

export const hook = (type: Hook['type'], name: Hook['hook'], priority: number): Hook => ({
  type,
  hook: name,
  priority,
  policy: 'accept',
});

export const isDecided: Expression = is(ctBits(MARK_OURS), MARK_OURS);
export const isReply: Expression = is({ kind: 'ct direction' }, 'reply');
