/**
 * Two modems may give this machine one and the same address: then a rule about the source leads what answers to the first of them,
 * whoever was asked. Who asked by which device is remembered, and what answers him goes back by that uplink. Only where uplinks on
 * several devices have an address in common.
 */
import { type Address, equalAddress, type Family } from '../net/address.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { viaUplink } from './compile-uplinks.ts';
import { goto, is, rule, setBits } from './nft/expressions.ts';
import { hook, isReply } from './nft/marks.ts';
import type { Chain, Expression, Field, NftSet, Rule } from './nft/ruleset.ts';
import { MARK_WAY, PRIORITY_TRANSLATED, UPLINK_INBOUND, wayMark } from './reserved.ts';

/** Conversations of each kind by each uplink and family; those beyond are answered by the first uplink with the address. */
const MAX_REMEMBERED = 65_536;
const FAMILIES: readonly Family[] = [4, 6];

/** Each has sets of its own: who pings a lot makes nobody's connection forgotten. */
interface Kind {
  readonly set: string;
  readonly protocols: readonly number[];
  /** From the last packet that has come in. */
  readonly seconds: number;
}
/** As long as conntrack keeps a TCP connection on which nothing moves. */
const TRANSPORT: Kind = { set: 'came', protocols: [IPPROTO_TCP, IPPROTO_UDP], seconds: 432_000 };
/** Conntrack's own for pings is half of this. */
const PING: Kind = { set: 'pinged', protocols: [IPPROTO_ICMP, IPPROTO_ICMPV6], seconds: 60 };
const KINDS = [TRANSPORT, PING];

const cameBy = ({ set }: Kind, id: number, family: Family): string => `${set}${family}_by_${id}`;
const field = (family: Family, which: 'saddr' | 'daddr'): Field => ({
  kind: family === 4 ? `ip ${which}` : `ip6 ${which}`,
});
const isOf = ({ protocols }: Kind): Expression => is({ kind: 'meta l4proto' }, ...protocols);
/** Of whoever asks, also of pings, which have no ports: as conntrack has it. */
const conversation = (family: Family, peer: 'saddr' | 'daddr'): readonly Field[] => [
  field(family, peer),
  { kind: 'meta l4proto' },
  { kind: 'ct original proto-src' },
  { kind: 'ct original proto-dst' },
];

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
  const each = shared.flatMap((one) => KINDS.map((kind) => ({ ...one, kind })));
  const remember: Chain = {
    name: 'remember_asker',
    comment: 'who asks for an address that several uplinks have, and by which of them',
    hook: hook('filter', 'prerouting', PRIORITY_TRANSLATED),
    rules: each.map(({ uplink, family, values, kind }) =>
      rule(
        is({ kind: 'meta iifname' }, uplink.device),
        is(field(family, 'daddr'), ...values),
        is({ kind: 'ct direction' }, 'original'),
        isOf(kind),
        {
          kind: 'update set',
          set: cameBy(kind, uplink.id, family),
          fields: conversation(family, 'saddr'),
          timeoutSeconds: kind.seconds,
        },
      ),
    ),
  };
  return {
    sets: each.map(({ uplink: { id }, family, kind }) => ({
      name: cameBy(kind, id, family),
      key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr', 'inet_proto', 'inet_service', 'inet_service'],
      flags: ['dynamic', 'timeout'],
      size: MAX_REMEMBERED,
      elements: [],
    })),
    chains: [remember],
    answers: each.map(({ uplink: { id }, family, values, kind }) =>
      rule(
        is(field(family, 'saddr'), ...values),
        isReply,
        isOf(kind),
        { kind: 'lookup', fields: conversation(family, 'daddr'), set: cameBy(kind, id, family) },
        // What it is all the same, so that nobody takes the way back for a decision.
        setBits('ct mark', MARK_WAY, wayMark(UPLINK_INBOUND)),
        goto(viaUplink(id)),
      ),
    ),
  };
}
