/**
 * Two modems may give this machine one and the same address: then a rule about the source leads what answers to the first of them,
 * whoever was asked. By which uplink a conversation came in is written into its label with its first packet, and answers go back by
 * that one; what comes in of it by another one is not of it, whoever says so. Labels are written wherever there are uplinks: an address
 * may be had by a second one later. Not the mark: its bits are taken by what the conversation was decided for.
 */
import { type Address, equalAddress, type Family } from '../net/address.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { viaUplink } from './compile-uplinks.ts';
import { accept, drop, goto, is, rule, setBits } from './nft/expressions.ts';
import { hook, isReply } from './nft/marks.ts';
import type { Chain, Expression, Field, Rule } from './nft/ruleset.ts';
import { labelOf, MARK_WAY, PRIORITY_TRANSLATED, UPLINK_INBOUND, wayMark } from './reserved.ts';

const FAMILIES: readonly Family[] = [4, 6];

const field = (family: Family, which: 'saddr' | 'daddr'): Field => ({
  kind: family === 4 ? `ip ${which}` : `ip6 ${which}`,
});
const cameBy = ({ id }: UplinkState): Expression => is({ kind: 'ct label' }, labelOf(id));

export interface CompiledAlike {
  readonly chains: readonly Chain[];
  /** Of what answers: the first that it meets. */
  readonly answers: readonly Rule[];
}

/** Two uplinks on one device differ by their gateway alone, which no packet that comes in names. */
const isAloneOnDevice = (uplink: UplinkState, uplinks: readonly UplinkState[]): boolean =>
  uplinks.every(({ id, device }) => id === uplink.id || device !== uplink.device);

/** Addresses of this family that both have. */
function shared(one: UplinkState, other: UplinkState, family: Family): readonly bigint[] {
  const has = (address: Address): boolean => heldAddresses(other).some((each) => equalAddress(each, address));
  return heldAddresses(one)
    .filter((address) => address.family === family && has(address))
    .map(({ value }) => value);
}

export function compileAlike(uplinks: readonly UplinkState[]): CompiledAlike {
  const told = uplinks.filter((uplink) => isAloneOnDevice(uplink, uplinks));
  if (told.length === 0) return { chains: [], answers: [] };
  const up = told.filter((uplink) => uplink.up);
  const pairs = up.flatMap((uplink) =>
    FAMILIES.flatMap((family) =>
      up
        .filter((other) => other.id !== uplink.id)
        .map((other) => ({ uplink, other, family, values: shared(uplink, other, family) }))
        .filter(({ values }) => values.length > 0),
    ),
  );
  return {
    chains: [
      {
        name: 'came_in',
        comment:
          'by which uplink a conversation came in: by that one alone it goes on, where others have the same address',
        hook: hook('filter', 'prerouting', PRIORITY_TRANSLATED),
        rules: [
          ...pairs.map(({ uplink: { device }, other, family, values }) =>
            rule(
              is({ kind: 'meta iifname' }, device),
              is(field(family, 'daddr'), ...values),
              is({ kind: 'ct direction' }, 'original'),
              cameBy(other),
              drop,
            ),
          ),
          // The label is that of its first packet, and nobody writes it again.
          rule(is({ kind: 'ct status' }, 'confirmed'), accept),
          ...told.map(({ id, device }) =>
            rule(is({ kind: 'meta iifname' }, device), { kind: 'set label', label: labelOf(id) }, accept),
          ),
        ],
      },
    ],
    answers: up.flatMap((uplink) =>
      FAMILIES.flatMap((family) => {
        const values = new Set(
          pairs.filter((pair) => pair.uplink === uplink && pair.family === family).flatMap((pair) => pair.values),
        );
        if (values.size === 0) return [];
        return rule(
          is(field(family, 'saddr'), ...values),
          isReply,
          cameBy(uplink),
          // What it is all the same, so that nobody takes the way back for a decision.
          setBits('ct mark', MARK_WAY, wayMark(UPLINK_INBOUND)),
          goto(viaUplink(uplink.id)),
        );
      }),
    ),
  };
}
