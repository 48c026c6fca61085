/**
 * What others translate behind us (service addresses, published ports, redirections to this machine) goes where its new destination
 * leads: a private or connected one directly, by any route of main but its defaults; another one by the way that was decided. Nothing
 * that leaves by loopback keeps a way: a socket that takes it might inherit that (tcp_fwmark_accept).
 */
import { type Family, type Prefix, parsePrefix, prefixRange } from '../net/address.ts';
import type { Facts } from '../policy/facts.ts';
import { groupPrefixes } from '../policy/groups.ts';
import { addressElements } from './nft/elements.ts';
import { accept, goto, inSet, is, isNot, rule, setBits } from './nft/expressions.ts';
import { hook, metaBits } from './nft/marks.ts';
import type { Chain, Expression, NftSet, Rule } from './nft/ruleset.ts';
import { MARK_APP, MARK_OURS, MARK_UPLINK, MARK_WAY, PRIORITY_TRANSLATED, UPLINK_LOCAL, wayMark } from './reserved.ts';

const TRANSLATED = 'translated';
const DIRECT = 'translated_flow';
const GUARD_LOOPBACK = 'guard_loopback';
const FAMILIES: readonly Family[] = [4, 6];
const setName = (family: Family): string => `direct${family}`;

export const isTranslated: Expression = is({ kind: 'ct status' }, 'dnat');
const isOurs = is(metaBits(MARK_OURS), MARK_OURS);

const LOOPBACK: readonly Prefix[] = ['127.0.0.0/8', '::1/128'].map(parsePrefix).filter((one) => one !== undefined);

export interface CompiledTranslated {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** At the head of the guard. */
  readonly guard: readonly Rule[];
  /** What is translated and goes directly, whose source may be an uplink's. */
  readonly isDirect: readonly Expression[];
}

/** Where there are uplinks. */
export function compileTranslated({ onLink }: Facts): CompiledTranslated {
  const direct = [...groupPrefixes('lan'), ...LOOPBACK, ...onLink];
  return {
    sets: FAMILIES.map((family) => ({
      name: setName(family),
      key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
      flags: ['interval'],
      elements: addressElements(direct.filter(({ address }) => address.family === family).map(prefixRange)),
    })),
    chains: [
      {
        name: TRANSLATED,
        comment: 'others have given it another destination',
        hook: hook('route', 'output', PRIORITY_TRANSLATED),
        rules: [rule(isTranslated, isOurs, isNot(metaBits(MARK_UPLINK), 0), goto(DIRECT))],
      },
      {
        name: DIRECT,
        rules: [
          rule(inSet(setName(4), { kind: 'ip daddr' }), goto('via_local')),
          rule(inSet(setName(6), { kind: 'ip6 daddr' }), goto('via_local')),
        ],
      },
      {
        name: GUARD_LOOPBACK,
        rules: [rule(isOurs, setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, 0)), rule(accept)],
      },
    ],
    guard: [rule(is({ kind: 'meta oifname' }, 'lo'), goto(GUARD_LOOPBACK))],
    isDirect: [isTranslated, is(metaBits(MARK_WAY), wayMark(UPLINK_LOCAL))],
  };
}
