/**
 * What may be sent by who carries a tun or tap device on is asked about, where some `via` leads into that device: a program's descriptors
 * are nothing that the kernel's maps could tell. Its sockets are told by their ports, one that it has just made by its user and cgroup. What
 * leaves by that device all the same from one of these ports is dropped.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { chooseUplink, waysOut } from '../policy/choose-uplink.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts, HeldTunnel } from '../policy/facts.ts';
import { CHAIN, type Choice } from './compile-app.ts';
import { dropOtherDevice } from './compile-guard.ts';
import { goto, is, jump, rule, vmap } from './nft/expressions.ts';
import type { Chain, Expression, MapElement, NftMap, Rule } from './nft/ruleset.ts';

export interface CompiledHeldTunnels {
  readonly maps: readonly NftMap[];
  readonly chains: readonly Chain[];
  /** Before an undecided packet is told. */
  readonly undecided: readonly Rule[];
  /** By device: before what is marked for its uplink leaves by it. */
  readonly guard: ReadonlyMap<string, readonly Rule[]>;
}

const HOLDERS = 'tunnel_holders';
const holdersMap = (level: number): string => `tunnel_holders_cgroup${level}`;
const guardChain = (index: number): string => `own_tunnel_${index}`;

/** Those into which some `via` leads now. */
function tunnelsTaken(choices: Iterable<Choice>, policySet: PolicySet, facts: Facts): readonly HeldTunnel[] {
  const { heldTunnels = [], uplinks } = facts;
  if (heldTunnels.length === 0) return [];
  const ids = new Set(
    [...choices].flatMap(({ via, slot }) =>
      ([4, 6] as const).flatMap((family) => {
        const { way, shared = [] } = chooseUplink(via, family, waysOut(policySet, facts), slot);
        return [...(way.kind === 'uplink' ? [way.id] : []), ...shared.map(({ id }) => id)];
      }),
    ),
  );
  const devices = new Set(uplinks.filter(({ id }) => ids.has(id)).map(({ device }) => device));
  return heldTunnels.filter(({ carries }) => carries.some((device) => devices.has(device)));
}

const PROTOCOLS = [IPPROTO_TCP, IPPROTO_UDP] as const;

/** From a port of one of its sockets. */
function fromPorts({ sockets }: HeldTunnel, then: Expression): readonly Rule[] {
  return PROTOCOLS.flatMap((wanted) => {
    const ports = [...new Set(sockets.filter(({ protocol }) => protocol === wanted).map(({ port }) => port))];
    if (ports.length === 0) return [];
    return [rule(is({ kind: 'meta l4proto' }, wanted), is({ kind: 'th sport' }, ...ports.sort((a, b) => a - b)), then)];
  });
}

/** The very socket: of one that is connected, another one may have the port. */
function fromSockets({ sockets }: HeldTunnel): readonly Rule[] {
  return sockets.map(({ protocol, port, remote }) =>
    rule(
      is({ kind: 'meta l4proto' }, protocol),
      is({ kind: 'th sport' }, port),
      ...(remote === undefined ? [] : [is({ kind: remote.family === 4 ? 'ip daddr' : 'ip6 daddr' }, remote.value)]),
      ...dropOtherDevice.expressions,
    ),
  );
}

/** Sockets that are not known yet: by whoever may have made them. */
function byHolders(taken: readonly HeldTunnel[]): {
  readonly rules: readonly Rule[];
  readonly maps: readonly NftMap[];
} {
  const rules: Rule[] = [];
  const byLevel = new Map<number, Map<bigint, MapElement>>();
  const uidsAt = new Map<number, Set<number>>();
  const ask: MapElement['data'] = { kind: 'verdict', verdict: { kind: 'goto', chain: CHAIN.ask } };
  for (const { uids, cgroup } of taken.flatMap(({ holders }) => holders)) {
    if (uids.length === 0) continue;
    if (cgroup === undefined) {
      rules.push(rule(is({ kind: 'meta skuid' }, ...uids), goto(CHAIN.ask)));
      continue;
    }
    const { level, id } = cgroup;
    const elements = byLevel.get(level) ?? new Map<bigint, MapElement>();
    byLevel.set(level, elements.set(id, { key: id, data: ask }));
    uidsAt.set(level, new Set([...(uidsAt.get(level) ?? []), ...uids]));
  }
  const maps = [...byLevel].map(
    ([level, elements]): NftMap => ({
      name: holdersMap(level),
      key: 'cgroupsv2',
      level,
      data: 'verdict',
      elements: [...elements.values()],
    }),
  );
  for (const [level, uids] of uidsAt)
    rules.push(rule(is({ kind: 'meta skuid' }, ...uids), vmap({ kind: 'cgroup', level }, holdersMap(level))));
  return { rules, maps };
}

export function compileHeldTunnels(choices: Iterable<Choice>, policySet: PolicySet, facts: Facts): CompiledHeldTunnels {
  const taken = tunnelsTaken(choices, policySet, facts);
  if (taken.length === 0) return { maps: [], chains: [], undecided: [], guard: new Map() };
  const { rules, maps } = byHolders(taken);
  const guards = taken.map(
    (tunnel, index): Chain => ({
      name: guardChain(index),
      comment: `what carries ${tunnel.device} may not leave by it`,
      rules: fromSockets(tunnel),
    }),
  );
  const guard = new Map<string, readonly Rule[]>();
  for (const [index, tunnel] of taken.entries())
    for (const device of tunnel.carries)
      guard.set(device, [...(guard.get(device) ?? []), ...fromPorts(tunnel, jump(guardChain(index)))]);
  return {
    maps,
    chains: [
      ...guards,
      {
        name: HOLDERS,
        comment: 'what may carry a tunnel that some via leads into',
        rules: [...taken.flatMap((tunnel) => fromPorts(tunnel, goto(CHAIN.ask))), ...rules],
      },
    ],
    undecided: [rule(jump(HOLDERS))],
    guard,
  };
}
