import type { Family } from '../net/address.ts';
import type { Via } from './model.ts';

/** What a `via` says, wherever it is written: equal ones share a choice. */
export function viaText({ at: _, ...constraint }: Via): string {
  return JSON.stringify(constraint);
}

/** Of what a sticky `via` has come to. */
export const keptKey = (via: Via, family: Family): string => `${family} ${viaText(via)}`;
