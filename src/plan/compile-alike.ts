/**
 * Two modems may give this machine one and the same address: then a rule about the source leads what answers to the first of them,
 * whoever was asked. Who asked by which device is remembered, and what answers him goes back by that uplink. Only where uplinks on
 * several devices have an address in common.
 */
import { type Address, equalAddress, type Family } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { viaUplink } from './compile-uplinks.ts';
import { goto, is, rule, setBits } from './nft/expressions.ts';
import { hook, isReply } from './nft/marks.ts';
import type { Chain, Expression, Field, NftSet, Rule } from './nft/ruleset.ts';
import { MARK_WAY, PRIORITY_TRANSLATED, UPLINK_INBOUND, wayMark } from './reserved.ts';

/** As long as conntrack keeps a TCP connection on which nothing moves; each packet that comes in begins it anew. */
const REMEMBERED_SECONDS = 432_000;
/** Conversations by each uplink and family; those beyond are answered by the first uplink with the address. */
const MAX_REMEMBERED = 65_536;
const FAMILIES: readonly Family[] = [4, 6];

const cameBy = (id: number, family: Family): string => `came${family}_by_${id}`;
const field = (family: Family, which: 'saddr' | 'daddr'): Field => ({
  kind: family === 4 ? `ip ${which}` : `ip6 ${which}`,
});
const isTransport: Expression = is({ kind: 'meta l4proto' }, IPPROTO_TCP, IPPROTO_UDP);

export interface CompiledAlike {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** Of what answers: the first that it meets. */
  readonly answers: readonly Rule[];
}

interface Shared {
  readonly uplink: UplinkState;
  readonly family: Family;
  readonly values: readonly bigint[];
}

/** Addresses that an uplink has in common with another one on another device. */
function sharedBy(uplink: UplinkState, uplinks: readonly UplinkState[]): readonly Address[] {
  const others = uplinks.filter(({ id, device, up }) => up && id !== uplink.id && device !== uplink.device);
  return heldAddresses(uplink).filter((address) =>
    others.some((other) => heldAddresses(other).some((one) => equalAddress(one, address))),
  );
}

/** Two uplinks on one device differ by their gateway alone, which no packet that comes in names. */
const isAloneOnDevice = (uplink: UplinkState, uplinks: readonly UplinkState[]): boolean =>
  uplinks.every(({ id, device }) => id === uplink.id || device !== uplink.device);

export function compileAlike(uplinks: readonly UplinkState[]): CompiledAlike {
  const shared = uplinks
    .filter((uplink) => uplink.up && isAloneOnDevice(uplink, uplinks))
    .flatMap((uplink) =>
      FAMILIES.map((family): Shared => {
        const own = sharedBy(uplink, uplinks).filter((address) => address.family === family);
        return { uplink, family, values: own.map(({ value }) => value) };
      }),
    )
    .filter(({ values }) => values.length > 0);
  if (shared.length === 0) return { sets: [], chains: [], answers: [] };
  const remember: Chain = {
    name: 'remember_asker',
    comment: 'who asks for an address that several uplinks have, and by which of them',
    hook: hook('filter', 'prerouting', PRIORITY_TRANSLATED),
    rules: shared.map(({ uplink, family, values }) =>
      rule(
        is({ kind: 'meta iifname' }, uplink.device),
        is(field(family, 'daddr'), ...values),
        is({ kind: 'ct direction' }, 'original'),
        isTransport,
        {
          kind: 'update set',
          set: cameBy(uplink.id, family),
          fields: [field(family, 'saddr'), { kind: 'meta l4proto' }, { kind: 'th sport' }, { kind: 'th dport' }],
          timeoutSeconds: REMEMBERED_SECONDS,
        },
      ),
    ),
  };
  return {
    sets: shared.map(({ uplink: { id }, family }) => ({
      name: cameBy(id, family),
      key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr', 'inet_proto', 'inet_service', 'inet_service'],
      flags: ['dynamic', 'timeout'],
      size: MAX_REMEMBERED,
      elements: [],
    })),
    chains: [remember],
    answers: shared.map(({ uplink: { id }, family, values }) =>
      rule(
        is(field(family, 'saddr'), ...values),
        isReply,
        isTransport,
        {
          kind: 'lookup',
          fields: [field(family, 'daddr'), { kind: 'meta l4proto' }, { kind: 'th dport' }, { kind: 'th sport' }],
          set: cameBy(id, family),
        },
        // What it is all the same, so that nobody takes the way back for a decision.
        setBits('ct mark', MARK_WAY, wayMark(UPLINK_INBOUND)),
        goto(viaUplink(id)),
      ),
    ),
  };
}
