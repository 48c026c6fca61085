/**
 * What comes back of a flow whose source was translated has lost, by then, the address that told its uplink. Others ask the routes
 * whether an answer may come in by this device (the fib expression: firewalld's IPv6_rpfilter; rp_filter where src_valid_mark is
 * set): they are asked with the mark by which the flow went out.
 */
import type { UplinkState } from '../policy/facts.ts';
import { accept, is, rule, setBits, vmap } from './nft/expressions.ts';
import { ctBits, hook, isReply } from './nft/marks.ts';
import type { Chain, MapElement, NftMap } from './nft/ruleset.ts';
import { MARK_WAY, MAX_WAYS, PRIORITY_TRANSLATED, UPLINK_SYSTEM, wayMark } from './reserved.ts';

const RETURNING = 'returning';
const WAY_BACK = 'way_back';
const back = (id: number): string => `back_${id}`;

export interface CompiledReturning {
  readonly maps: readonly NftMap[];
  readonly chains: readonly Chain[];
}

/** Where there are uplinks. Only for what this machine itself receives: the mark would route what is forwarded. */
export function compileReturning(uplinks: readonly UplinkState[]): CompiledReturning {
  const ids = [UPLINK_SYSTEM, ...uplinks.map(({ id }) => id)];
  const elements = ids.map(
    (id): MapElement => ({
      key: BigInt(wayMark(id)),
      data: { kind: 'verdict', verdict: { kind: 'goto', chain: back(id) } },
    }),
  );
  const isTranslated = is({ kind: 'ct status' }, 'snat');
  const isForUs = is({ kind: 'fib daddr type' }, 'local');
  return {
    maps: [{ name: WAY_BACK, key: 'mark', data: 'verdict', size: MAX_WAYS, elements }],
    chains: [
      ...ids.map(
        (id): Chain => ({ name: back(id), rules: [rule(setBits('meta mark', MARK_WAY, wayMark(id)), accept)] }),
      ),
      {
        name: RETURNING,
        comment: 'answers to what was translated, marked as it went out, for those who check where answers come from',
        hook: hook('filter', 'prerouting', PRIORITY_TRANSLATED),
        rules: [rule(isTranslated, isReply, isForUs, vmap(ctBits(MARK_WAY), WAY_BACK))],
      },
    ],
  };
}
