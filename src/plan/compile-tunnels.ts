/**
 * What tunnels of this machine send is the tunnels' own: it passes, by the routes of the system, and no default can send it into the
 * tunnel that it carries. An overlay's outer packet has the socket of the program whose packet is in it, and is told by a mark that the
 * inner one leaves with; what has no socket, as WireGuard's packets and what the kernel asks through an overlay, by where it goes.
 */

import { IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from '../policy/facts.ts';
import { TUNNEL_PROTOCOLS } from '../policy/tunnel-packets.ts';
import { leaveProcesses } from './compile-kernel.ts';
import { addressElements } from './nft/elements.ts';
import { accept, goto, inSet, is, isNot, jump, rule, setBits } from './nft/expressions.ts';
import { metaBits } from './nft/marks.ts';
import type { Chain, NftSet, Rule } from './nft/ruleset.ts';
import {
  APP_KERNEL,
  MARK_APP,
  MARK_FOREIGN,
  MARK_INSIDE_OVERLAY,
  MARK_OURS,
  MARK_WAY,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

/** Devices, by their kind (IFLA_INFO_KIND), whose packets pass the output hook once more, with the socket of what they carry. */
export const OVERLAY_KINDS: readonly string[] = [
  ...['vxlan', 'geneve', 'bareudp', 'gtp', 'gre', 'gretap', 'erspan', 'ipip', 'sit'],
  ...['ip6tnl', 'ip6gre', 'ip6gretap', 'ip6erspan', 'vti', 'vti6'],
];

const TUNNEL = 'tunnel';
const TO_TUNNEL_END = 'to_tunnel_end';
const MARKED_TUNNEL = 'marked_tunnel';
const MARKED_TO_TUNNEL_END = 'marked_to_tunnel_end';
const FAMILIES = [4, 6] as const;
const endsSet = (family: 4 | 6): string => `tunnel_ends${family}`;

const NOT_FOREIGN = ~MARK_FOREIGN >>> 0;
/** In `leave`, before our bits are taken off. A mark of somebody else's, who may route by it, stays as it is. */
export const marksInside: readonly Rule[] = [is(metaBits(MARK_OURS), MARK_OURS), is(metaBits(NOT_FOREIGN), 0)].map(
  (mark) =>
    rule(
      mark,
      is({ kind: 'meta oifkind' }, ...OVERLAY_KINDS),
      setBits('meta mark', NOT_FOREIGN, MARK_INSIDE_OVERLAY),
      accept,
    ),
);

export interface CompiledTunnels {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** Before anything else that an outgoing packet comes to. */
  readonly first: readonly Rule[];
  /** Before an undecided one is told. */
  readonly undecided: readonly Rule[];
}

const toEndOf = (family: 4 | 6, protocols: readonly number[], to: string): Rule =>
  rule(
    is({ kind: 'meta l4proto' }, ...protocols),
    inSet(endsSet(family), { kind: family === 4 ? 'ip daddr' : 'ip6 daddr' }),
    goto(to),
  );

/**
 * In bits that are not free for all, so that ours cannot stand beside it. No program sets one without CAP_NET_ADMIN or CAP_NET_RAW: what has it
 * here came through an overlay with it, or is WireGuard's (its fwmark), unless somebody marks all that goes to the other end.
 */
const isNotOurs = is(metaBits(MARK_OURS), 0);
const isMarkedByOthers = isNot(metaBits(NOT_FOREIGN), 0);

export interface TunnelOptions {
  /** What goes into an overlay is marked. */
  readonly marks: boolean;
  /** A policy names WireGuard: what may be its packets is asked about. */
  readonly asksWireGuard: boolean;
}

export function compileTunnels(
  { tunnelEnds = [] }: Pick<Facts, 'tunnelEnds'>,
  { marks, asksWireGuard }: TunnelOptions,
): CompiledTunnels {
  const protocols = TUNNEL_PROTOCOLS.filter((protocol) => !(asksWireGuard && protocol === IPPROTO_UDP));
  const families = FAMILIES.filter((family) => tunnelEnds.some((end) => end.family === family));
  const isInside = is(metaBits((MARK_OURS | MARK_APP) >>> 0), MARK_INSIDE_OVERLAY);
  const tunnel: Chain = {
    name: TUNNEL,
    comment: 'what a tunnel sends: what is in it has been decided, where it was ours to decide',
    rules: [
      rule(
        setBits('meta mark', NOT_FOREIGN, 0),
        setBits('ct mark', (MARK_WAY | MARK_APP) >>> 0, (wayMark(UPLINK_SYSTEM) | APP_KERNEL) >>> 0),
        accept,
      ),
    ],
  };
  const markedTunnel: Chain = {
    name: MARKED_TUNNEL,
    comment: 'the same with a mark of somebody else, who routes by it: that stays as it is',
    rules: [rule(setBits('ct mark', (MARK_WAY | MARK_APP) >>> 0, (wayMark(UPLINK_SYSTEM) | APP_KERNEL) >>> 0), accept)],
  };
  const markedToEnd: Chain = {
    name: MARKED_TO_TUNNEL_END,
    rules: families.map((family) => toEndOf(family, TUNNEL_PROTOCOLS, MARKED_TUNNEL)),
  };
  const toEnd: Chain = {
    name: TO_TUNNEL_END,
    rules: [leaveProcesses, ...families.map((family) => toEndOf(family, protocols, TUNNEL))],
  };
  const isUsed = marks || families.length > 0;
  return {
    sets: families.map((family) => ({
      name: endsSet(family),
      key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
      flags: ['interval'],
      elements: addressElements(
        tunnelEnds.filter((end) => end.family === family).map(({ value }) => ({ first: value, last: value })),
      ),
    })),
    chains: [...(isUsed ? [tunnel] : []), ...(families.length > 0 ? [toEnd, markedTunnel, markedToEnd] : [])],
    first: [
      ...(marks ? [rule(isInside, goto(TUNNEL))] : []),
      ...(families.length > 0 ? [rule(isNotOurs, isMarkedByOthers, jump(MARKED_TO_TUNNEL_END))] : []),
    ],
    undecided: families.length > 0 ? [rule(jump(TO_TUNNEL_END))] : [],
  };
}
