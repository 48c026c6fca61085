/** Names that rules deny or drop, and whose answers point at the network itself: of these addresses the rules do not speak. */

import type { Address } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import type { NameState } from './facts.ts';
import { type InsideFacts, type InsideKind, insideKind } from './inside-address.ts';
import type { SourceLocation } from './model.ts';

export interface NameInside {
  readonly name: string;
  readonly address: Address;
  readonly is: InsideKind;
  /** Of the entry. */
  readonly at: SourceLocation;
}

export function namesInside(
  { rules }: EffectivePolicy,
  facts: InsideFacts & { readonly names: ReadonlyMap<string, NameState> },
  nowMs: MonotonicMs,
): readonly NameInside[] {
  return rules.flatMap(({ do: verb, to }) =>
    verb === 'allow'
      ? []
      : to.flatMap(({ target, at }) => {
          const state = target.kind === 'name' ? facts.names.get(target.name) : undefined;
          if (target.kind !== 'name' || state?.known !== true) return [];
          return state.addresses.flatMap(({ address, expiresAtMs }) => {
            const is = expiresAtMs > nowMs ? insideKind(facts, address) : undefined;
            return is === undefined ? [] : [{ name: target.name, address, is, at }];
          });
        }),
  );
}
