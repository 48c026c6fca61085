/**
 * Names that share an address, and of which one application's rules say different things: a packet does not say which of them
 * was meant, and the first rule decides for all.
 */
import { type Address, formatAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { EffectivePolicy, EffectiveRule } from './effective-policy.ts';
import type { NameState } from './facts.ts';
import { type InsideFacts, mayBeMeant } from './inside-address.ts';
import { destinationProtocols } from './match-destination.ts';
import type { Destination } from './model.ts';

export interface AmbiguousAddress {
  readonly address: Address;
  /** In the order of the rules; the first decides. */
  readonly names: readonly string[];
}

interface Named {
  readonly name: string;
  readonly entry: Destination;
  readonly says: string;
}

const saying = ({ do: verb, via }: EffectiveRule): string =>
  `${verb} ${via === undefined ? '' : JSON.stringify({ ...via, at: undefined })}`;

function overlap(a: Destination, b: Destination): boolean {
  const [protocols, others] = [destinationProtocols(a), destinationProtocols(b)];
  if (protocols !== undefined && others !== undefined && !protocols.some((one) => others.includes(one))) return false;
  const [ports, otherPorts] = [a.ports, b.ports];
  if (ports === undefined || otherPorts === undefined) return true;
  return ports.some((one) => otherPorts.some((other) => one.first <= other.last && other.first <= one.last));
}

export function ambiguousNames(
  { rules }: EffectivePolicy,
  facts: InsideFacts & { readonly names: ReadonlyMap<string, NameState> },
  nowMs: MonotonicMs,
): readonly AmbiguousAddress[] {
  const byAddress = new Map<string, { readonly address: Address; readonly named: Named[] }>();
  for (const rule of rules) {
    for (const entry of rule.to) {
      if (entry.target.kind !== 'name') continue;
      const { name } = entry.target;
      const state = facts.names.get(name);
      for (const { address, expiresAtMs } of state?.known === true ? state.addresses : []) {
        if (expiresAtMs <= nowMs || !mayBeMeant(facts, rule.do, entry, address)) continue;
        const key = formatAddress(address);
        const found = byAddress.get(key) ?? { address, named: [] };
        found.named.push({ name, entry, says: saying(rule) });
        byAddress.set(key, found);
      }
    }
  }
  return [...byAddress.values()].flatMap(({ address, named }) => {
    const isContradicted = ({ name, entry, says }: Named): boolean =>
      named.some((other) => other.name !== name && other.says !== says && overlap(entry, other.entry));
    const unclear = [...new Set(named.filter(isContradicted).map(({ name }) => name))];
    return unclear.length === 0 ? [] : [{ address, names: unclear }];
  });
}
