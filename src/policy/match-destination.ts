/** Whether a flow is what an entry of `to` speaks of. */
import { prefixContains } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { portInRange } from '../net/port.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from './facts.ts';
import { groupPrefixes } from './groups.ts';
import { isOnLink, type OnLinkFacts } from './local-networks.ts';
import type { Destination, Verb } from './model.ts';

/** Protocol numbers an entry covers; undefined: every protocol. */
export function destinationProtocols(destination: Destination): readonly number[] | undefined {
  switch (destination.protocol) {
    case 'tcp':
      return [IPPROTO_TCP];
    case 'udp':
      return [IPPROTO_UDP];
    case 'icmp':
      return [IPPROTO_ICMP, IPPROTO_ICMPV6];
    case undefined:
      return destination.ports === undefined ? undefined : [IPPROTO_TCP, IPPROTO_UDP];
  }
}

function serviceMatches(destination: Destination, flow: Flow): boolean {
  const protocols = destinationProtocols(destination);
  if (protocols !== undefined && !protocols.includes(flow.protocol)) return false;
  const port = flow.destinationPort;
  return (
    destination.ports === undefined ||
    (port !== undefined && destination.ports.some((range) => portInRange(range, port)))
  );
}

/** What is true outside the files of what entries speak of. */
export type DestinationFacts = Pick<Facts, 'names'> & OnLinkFacts;

/** `verb`: of the rule. `unknown`: everything but the name's addresses is known to match. */
export function matchDestination(
  facts: DestinationFacts,
  verb: Verb,
  destination: Destination,
  flow: Flow,
  nowMs: MonotonicMs,
): 'yes' | 'no' | 'unknown' {
  if (!serviceMatches(destination, flow)) return 'no';
  const { target } = destination;
  const { family, value } = flow.destination;
  switch (target.kind) {
    case 'any':
      return 'yes';
    case 'prefix':
      return prefixContains(target.prefix, flow.destination) ? 'yes' : 'no';
    case 'group':
      return groupPrefixes(target.group).some((prefix) => prefixContains(prefix, flow.destination)) ? 'yes' : 'no';
    case 'on-link':
      return isOnLink(facts, verb, flow.destination) ? 'yes' : 'no';
    case 'name': {
      const state = facts.names.get(target.name);
      if (state === undefined || !state.known) return 'unknown';
      const live = (entry: (typeof state.addresses)[number]): boolean =>
        entry.expiresAtMs > nowMs && entry.address.family === family && entry.address.value === value;
      return state.addresses.some(live) ? 'yes' : 'no';
    }
  }
}

/** Whether an entry names loopback: only such entries have a say over loopback traffic. */
export function namesLoopback(destination: Destination): boolean {
  const { target } = destination;
  if (target.kind === 'group') return target.group === 'loopback';
  if (target.kind !== 'prefix') return false;
  return groupPrefixes('loopback').some(
    (loopback) => target.prefix.length >= loopback.length && prefixContains(loopback, target.prefix.address),
  );
}
