/** Whether a flow is what an entry of a rule's `to` speaks of, with what a name may mean there. */
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { asksResolver, speaksOfQueries } from './dns-query.ts';
import type { Facts } from './facts.ts';
import { mayBeMeant } from './inside-address.ts';
import { matchDestination } from './match-destination.ts';
import type { Destination, Verb } from './model.ts';

export function matchEntry(
  facts: Facts,
  verb: Verb,
  entry: Destination,
  flow: Flow,
  nowMs: MonotonicMs,
): ReturnType<typeof matchDestination> {
  if (!speaksOfQueries(entry) && asksResolver(facts, flow)) return 'no';
  const matches = matchDestination(facts, verb, entry, flow, nowMs);
  return matches === 'yes' && !mayBeMeant(facts, verb, entry, flow.destination) ? 'no' : matches;
}
