/** By which way, and whom, a query is asked that the kernel has redirected to us: its conntrack entry says both. */
import { type Address, equalAddress, isLoopbackAddress } from '../net/address.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { isUplink, readMark } from '../plan/flow-mark.ts';
import { DNS_RELAY_PORT, MARK_SOCKET, PROGRAM_DAEMON, programMark, wayMark } from '../plan/reserved.ts';
import type { Facts, UplinkState } from '../policy/facts.ts';
import { isLocalDestination } from '../policy/local-networks.ts';
import type { Uplink } from '../policy/model.ts';
import type { DnsWay } from './dns-ask.ts';

export interface DnsFacts {
  readonly uplinks: readonly Uplink[];
  readonly facts: Pick<Facts, 'uplinks' | 'onLink'>;
  /** Those that are configured, or stand behind the configured stub. */
  readonly resolvers: readonly Address[];
  /** What NetworkManager was told by a device's network. */
  readonly managed?: (device: string) => readonly Address[];
}

/** `nobody`: there is no such uplink now. `unresolved`: it leads to no resolver that is known. */
export type DnsRoute =
  | { readonly kind: 'ask'; readonly appId: number; readonly uplink?: string; readonly way: DnsWay }
  | { readonly kind: 'nobody'; readonly appId: number }
  | { readonly kind: 'unresolved'; readonly appId: number; readonly uplink: string };

/** Undefined for what was not redirected: somebody asks the relay itself. */
export function dnsRoute(
  { mark, original }: Pick<ConntrackEntry, 'mark' | 'original'>,
  dnsFacts: DnsFacts,
): DnsRoute | undefined {
  if (original.destinationPort === DNS_RELAY_PORT) return undefined;
  const { appId, way: id } = readMark(mark);
  if (!isUplink(id)) {
    // By the system's route whoever was asked is asked.
    return { kind: 'ask', appId, way: { mark: programMark(PROGRAM_DAEMON), resolvers: [original.destination] } };
  }
  const state = dnsFacts.facts.uplinks.find((uplink) => uplink.id === id);
  if (state === undefined || !state.up) return { kind: 'nobody', appId };
  const { name: uplink } = state;
  const resolvers = uplinkResolvers(state, original.destination, dnsFacts);
  if (resolvers.length === 0) return { kind: 'unresolved', appId, uplink };
  return { kind: 'ask', appId, uplink, way: { mark: (wayMark(id) | MARK_SOCKET | PROGRAM_DAEMON) >>> 0, resolvers } };
}

/**
 * Those of its file, else those of its network, where a manager was told; without any, those that are configured and that it
 * leads to, the one that was asked first.
 */
export function uplinkResolvers(
  state: UplinkState,
  asked: Address | undefined,
  { uplinks, facts, resolvers, managed }: DnsFacts,
): readonly Address[] {
  const carries = ({ family }: Address): boolean => (family === 4 ? state.v4 : state.v6);
  const own = uplinks.find(({ name }) => name === state.name)?.resolvers;
  if (own !== undefined) return own.filter(carries);
  const told = (managed?.(state.device) ?? []).filter((address) => carries(address) && !isLoopbackAddress(address));
  if (told.length > 0) return told;
  const reachable = resolvers.filter(
    (address) =>
      carries(address) && (!isLocalDestination(facts.onLink, address) || isLocalDestination(state.onLink, address)),
  );
  return asked === undefined ? reachable : reachable.toSorted((a, b) => rank(a, asked) - rank(b, asked));
}

const rank = (address: Address, first: Address): number => (equalAddress(address, first) ? 0 : 1);
