/**
 * What answers leaves by the uplink whose address was asked, or by the local network, but by no other uplink. It has no way of its
 * own: where its uplink is down, the routes and the rule that lead there are gone, and main would send it elsewhere. What the
 * kernel alone answers, to late segments of connections that nobody has any more, may come from an address that has just gone.
 */
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP } from '../net/protocol.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { LOCAL4, LOCAL6 } from './compile-choice.ts';
import { dropOtherAnswer } from './compile-guard.ts';
import { accept, goto, inSet, is, isNot, rule } from './nft/expressions.ts';
import { isReply } from './nft/marks.ts';
import type { Chain, Field, Rule } from './nft/ruleset.ts';

const ANSWERS = 'answers';
const by = (id: number): string => `answers_by_${id}`;
const ofKernel = (id: number): string => `answers_of_kernel_${id}`;
const from = (id: number): string => `answers_from_${id}`;

const FAMILIES = [4, 6] as const;
/** Of no user: (uid_t) -1. Whatever a program sends has another one; what the kernel sends has none at all. */
const NO_UID = 0xffff_ffff;

/** Where it came in, of what this machine sends. */
const NO_DEVICE = 0;

const sourceOf = (family: 4 | 6): Field => ({ kind: family === 4 ? 'ip saddr' : 'ip6 saddr' });
const addressesOf = (uplink: UplinkState, family: 4 | 6): readonly bigint[] =>
  heldAddresses(uplink)
    .filter((address) => address.family === family)
    .map(({ value }) => value);

/** Not those that it has itself: two uplinks on one device, or two modems that are alike, have the same. */
function ofOthers(uplink: UplinkState, uplinks: readonly UplinkState[]): Rule[] {
  const others = uplinks.filter((other) => other.id !== uplink.id);
  return FAMILIES.flatMap((family) =>
    [...new Set(others.flatMap((other) => addressesOf(other, family)))]
      .filter((value) => !addressesOf(uplink, family).includes(value))
      .map((value) => rule(is(sourceOf(family), value), dropOtherAnswer)),
  );
}

function chainsOf(uplink: UplinkState, uplinks: readonly UplinkState[]): Chain[] {
  const { id } = uplink;
  const foreign = FAMILIES.map((family) => {
    const own = addressesOf(uplink, family);
    return own.length === 0 ? is({ kind: 'meta nfproto' }, `ipv${family}`) : isNot(sourceOf(family), ...own);
  });
  return [
    {
      name: by(id),
      rules: [
        // What answers a forwarded port has the uplink's address only since a moment ago: main has chosen its way, not we.
        rule(isNot({ kind: 'meta iif' }, NO_DEVICE), accept),
        ...ofOthers(uplink, uplinks),
        rule(is({ kind: 'meta l4proto' }, IPPROTO_TCP), goto(ofKernel(id))),
        rule(is({ kind: 'ct state' }, 'related'), goto(ofKernel(id))),
      ],
    },
    {
      name: ofKernel(id),
      rules: [
        rule(isNot({ kind: 'meta skuid' }, NO_UID), accept),
        rule(inSet(LOCAL4, { kind: 'ip daddr' }), accept),
        rule(inSet(LOCAL6, { kind: 'ip6 daddr' }), accept),
        rule(goto(from(id))),
      ],
    },
    { name: from(id), rules: foreign.map((expression) => rule(expression, dropOtherAnswer)) },
  ];
}

/** In the last guard, where it is certain by which device a packet leaves. */
export function compileAnswers(uplinks: readonly UplinkState[]): {
  readonly chains: readonly Chain[];
  readonly guard: readonly Rule[];
} {
  const dispatch: Chain = {
    name: ANSWERS,
    comment: 'what answers leaves by no other uplink than that of its address',
    rules: uplinks.map(({ id, device }) => rule(is({ kind: 'meta oifname' }, device), goto(by(id)))),
  };
  const isIcmp = is({ kind: 'meta l4proto' }, IPPROTO_ICMP, IPPROTO_ICMPV6);
  return {
    chains: [...uplinks.flatMap((uplink) => chainsOf(uplink, uplinks)), dispatch],
    guard: [rule(isReply, goto(ANSWERS)), rule(is({ kind: 'ct state' }, 'related'), isIcmp, goto(ANSWERS))],
  };
}
