/** The chains that put a decided flow on its way, keep it there, and give it a source address that fits. */
import { type Address, prefixRange } from '../net/address.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { localNetworks } from '../policy/local-networks.ts';
import { CHAIN } from './compile-app.ts';
import { acceptVia } from './compile-choice.ts';
import { dropOtherDevice, guardChains } from './compile-guard.ts';
import { isTranslated } from './compile-translated.ts';
import { addressElements } from './nft/elements.ts';
import { accept, goto, inSet, is, isNot, rule, setBits } from './nft/expressions.ts';
import type { Chain, Expression, MapElement, NftMap, NftSet, Rule } from './nft/ruleset.ts';
import { MARK_WAY, MAX_WAYS, UPLINK_LOCAL, wayMark } from './reserved.ts';

/** The chain that puts a packet on the way. */
export const viaUplink = (id: number): string => `via_${id}`;
const guard = (id: number): string => `guard_${id}`;
const GUARD_LOCAL = 'guard_local';
const masquerade = (id: number): string => `masquerade_${id}`;

/** Remembers the way in the conntrack mark and takes it. */
function acceptChain({ id }: UplinkState): Chain {
  return { name: acceptVia(id), rules: [rule(setBits('ct mark', MARK_WAY, wayMark(id))), rule(goto(viaUplink(id)))] };
}

/**
 * Takes the way, for every packet of the flow. An uplink that is down refuses at once: an established connection takes
 * that as a soft error (RFC 1122 section 4.2.3.9) and goes on if the uplink comes back.
 */
function viaChain({ id, up }: UplinkState): Chain {
  const take = [rule(setBits('meta mark', MARK_WAY, wayMark(id))), rule(accept)];
  return { name: viaUplink(id), rules: up ? take : [rule(goto(CHAIN.noUplink))] };
}

/** Whatever re-routed the packet since: by this device or not at all. Two comparisons cost every packet less than a set. */
function guardChain({ id, device }: UplinkState, first: readonly Rule[]): Chain {
  const by = (name: string): Rule => rule(is({ kind: 'meta oifname' }, name), accept);
  return { name: guard(id), rules: [...first, by(device), by('lo'), dropOtherDevice] };
}

const sourceRule = (family: 4 | 6, addresses: readonly Address[]): Rule => {
  const own = addresses.filter((address) => address.family === family).map(({ value }) => value);
  const foreign: Expression =
    own.length === 0
      ? is({ kind: 'meta nfproto' }, `ipv${family}`)
      : isNot({ kind: family === 4 ? 'ip saddr' : 'ip6 saddr' }, ...own);
  return rule(foreign, { kind: 'masquerade' });
};

/**
 * A socket bound to an uplink's device takes a destination for on-link that is not (ip_route_output_key_hash_rcu in
 * net/ipv4/route.c): what is marked as local leaves by an uplink only to that uplink's own networks.
 */
function localGuardChains(uplinks: readonly UplinkState[]): { chains: Chain[]; sets: NftSet[] } {
  const own = uplinks.map(({ id, onLink }) => ({ id, prefixes: localNetworks(onLink) }));
  const setOf = (family: 4 | 6, { id, prefixes }: (typeof own)[number]): NftSet => ({
    name: `local${family}_of_${id}`,
    key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
    flags: ['interval'],
    elements: addressElements(prefixes.filter(({ address }) => address.family === family).map(prefixRange)),
  });
  const perUplink = own.map(
    ({ id }): Chain => ({
      name: `guard_local_${id}`,
      rules: [
        rule(inSet(`local4_of_${id}`, { kind: 'ip daddr' }), accept),
        rule(inSet(`local6_of_${id}`, { kind: 'ip6 daddr' }), accept),
        dropOtherDevice,
      ],
    }),
  );
  const dispatch: Chain = {
    name: GUARD_LOCAL,
    rules: [
      // Whoever translates says where it goes: behind a router of the link, too.
      rule(isTranslated, accept),
      ...uplinks.map(({ id, device }) => rule(is({ kind: 'meta oifname' }, device), goto(`guard_local_${id}`))),
    ],
  };
  return { chains: [...perUplink, dispatch], sets: own.flatMap((one) => [setOf(4, one), setOf(6, one)]) };
}

/** Only flows whose source was chosen before they were re-routed need it. */
function masqueradeChain(uplink: UplinkState): Chain {
  const own = heldAddresses(uplink);
  return { name: masquerade(uplink.id), rules: [sourceRule(4, own), sourceRule(6, own)] };
}

const byWay = (uplinks: readonly UplinkState[], chain: (id: number) => string): MapElement[] =>
  uplinks.map(({ id }) => ({
    key: BigInt(wayMark(id)),
    data: { kind: 'verdict', verdict: { kind: 'goto', chain: chain(id) } },
  }));

export interface CompiledUplinks {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** Way of a decided flow -> the chain that takes it; further ways are the caller's. */
  readonly decided: readonly MapElement[];
  readonly guard: NftMap;
  readonly masquerade: NftMap;
}

/** `guards`: by device, before what is marked for its uplink leaves. */
export function compileUplinks(
  uplinks: readonly UplinkState[],
  guards: ReadonlyMap<string, readonly Rule[]> = new Map(),
): CompiledUplinks {
  const local = localGuardChains(uplinks);
  const localGuard: MapElement = {
    key: BigInt(wayMark(UPLINK_LOCAL)),
    data: { kind: 'verdict', verdict: { kind: 'goto', chain: GUARD_LOCAL } },
  };
  return {
    sets: local.sets,
    chains: [
      ...local.chains,
      ...(uplinks.length > 0 ? guardChains : []),
      ...uplinks.flatMap((uplink) => [
        acceptChain(uplink),
        viaChain(uplink),
        guardChain(uplink, guards.get(uplink.device) ?? []),
        masqueradeChain(uplink),
      ]),
    ],
    decided: byWay(uplinks, viaUplink),
    guard: {
      name: 'guard_of_uplink',
      key: 'mark',
      data: 'verdict',
      size: MAX_WAYS,
      elements: [...byWay(uplinks, guard), localGuard],
    },
    masquerade: { name: 'masquerade_of_uplink', key: 'mark', data: 'verdict', elements: byWay(uplinks, masquerade) },
  };
}
