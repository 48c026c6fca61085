/** The chains that put a decided flow on its way, keep it there, and give it a source address that fits. */
import type { Address } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import { CHAIN } from './compile-app.ts';
import { acceptVia } from './compile-choice.ts';
import { accept, drop, goto, is, isNot, rule, setBits } from './nft/expressions.ts';
import type { Chain, Expression, MapElement, NftMap, Rule } from './nft/ruleset.ts';
import { MARK_WAY, wayMark } from './reserved.ts';

const via = (id: number): string => `via_${id}`;
const guard = (id: number): string => `guard_${id}`;
const masquerade = (id: number): string => `masquerade_${id}`;

/** Remembers the way in the conntrack mark and takes it. */
function acceptChain({ id }: UplinkState): Chain {
  return { name: acceptVia(id), rules: [rule(setBits('ct mark', MARK_WAY, wayMark(id))), rule(goto(via(id)))] };
}

/**
 * Takes the way, for every packet of the flow. An uplink that is down refuses at once: an established connection takes
 * that as a soft error (RFC 1122 section 4.2.3.9) and goes on if the uplink comes back.
 */
function viaChain({ id, up }: UplinkState): Chain {
  const take = [rule(setBits('meta mark', MARK_WAY, wayMark(id))), rule(accept)];
  return { name: via(id), rules: up ? take : [rule(goto(CHAIN.noUplink))] };
}

/** Whatever re-routed the packet since: by this device or not at all. */
function guardChain({ id, device }: UplinkState): Chain {
  return { name: guard(id), rules: [rule(isNot({ kind: 'meta oifname' }, device, 'lo'), { kind: 'counter' }, drop)] };
}

const sourceRule = (family: 4 | 6, addresses: readonly Address[]): Rule => {
  const own = addresses.filter((address) => address.family === family).map(({ value }) => value);
  const foreign: Expression =
    own.length === 0
      ? is({ kind: 'meta nfproto' }, `ipv${family}`)
      : isNot({ kind: family === 4 ? 'ip saddr' : 'ip6 saddr' }, ...own);
  return rule(foreign, { kind: 'masquerade' });
};

/** Only flows whose source was chosen before they were re-routed need it. */
function masqueradeChain({ id, addresses }: UplinkState): Chain {
  return { name: masquerade(id), rules: [sourceRule(4, addresses), sourceRule(6, addresses)] };
}

const byWay = (uplinks: readonly UplinkState[], chain: (id: number) => string): MapElement[] =>
  uplinks.map(({ id }) => ({
    key: BigInt(wayMark(id)),
    data: { kind: 'verdict', verdict: { kind: 'goto', chain: chain(id) } },
  }));

export interface CompiledUplinks {
  readonly chains: readonly Chain[];
  /** Way of a decided flow -> the chain that takes it; further ways are the caller's. */
  readonly decided: readonly MapElement[];
  readonly guard: NftMap;
  readonly masquerade: NftMap;
}

export function compileUplinks(uplinks: readonly UplinkState[]): CompiledUplinks {
  return {
    chains: uplinks.flatMap((uplink) => [
      acceptChain(uplink),
      viaChain(uplink),
      guardChain(uplink),
      masqueradeChain(uplink),
    ]),
    decided: byWay(uplinks, via),
    guard: { name: 'guard_of_uplink', key: 'mark', data: 'verdict', elements: byWay(uplinks, guard) },
    masquerade: { name: 'masquerade_of_uplink', key: 'mark', data: 'verdict', elements: byWay(uplinks, masquerade) },
  };
}
