import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Family, formatPrefix, type Prefix } from '../net/address.ts';
import { capturedMessage } from './captured-messages.ts';
import type { NetlinkRequest } from './message.ts';
import {
  decodeRule,
  encodeRuleAdd,
  encodeRuleDelete,
  encodeRuleDump,
  FR_ACT_GOTO,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  type RoutingRule,
  RTM_NEWRULE,
} from './routing-rule.ts';

function decoded(request: NetlinkRequest): RoutingRule {
  return decodeRule({ ...request, type: RTM_NEWRULE, sequence: 0, portId: 0 });
}

const width = (family: Family): number => (family === 4 ? 32 : 128);
const prefix = (family: Family): fc.Arbitrary<Prefix> =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** BigInt(width(family)) - 1n }), fc.integer({ min: 1, max: width(family) }))
    .map(([value, length]) => {
      const shift = BigInt(width(family) - length);
      return { address: { family, value: (value >> shift) << shift }, length };
    });
const u32Number = fc.integer({ min: 0, max: 0xffff_ffff });
const deviceName = fc.string({ minLength: 1, maxLength: 15, unit: 'grapheme-ascii' });
const mark = fc.option(fc.record({ fwmark: u32Number, fwmask: u32Number }), { nil: {} });
const anyRule = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc
    .tuple(
      mark,
      fc.record(
        {
          family: fc.constant(family),
          priority: u32Number,
          source: prefix(family),
          destination: prefix(family),
          iif: deviceName,
          oif: deviceName,
          uidRange: fc.record({ first: u32Number, last: u32Number }),
          invert: fc.boolean(),
          l3mdev: fc.boolean(),
          action: fc.integer({ min: 0, max: 255 }),
          table: u32Number,
          goto: u32Number,
          suppressPrefixLength: fc.integer({ min: 0, max: 128 }),
          protocol: fc.integer({ min: 0, max: 255 }),
        },
        { requiredKeys: ['family', 'priority', 'invert', 'l3mdev', 'action', 'table', 'protocol'] },
      ),
    )
    .map(([marks, rule]) => ({ ...rule, ...marks })),
);

describe('decodeRule()', () => {
  it('reads every selector of a rule', () => {
    const { source, destination, ...rule } = decodeRule(capturedMessage('ruleFull'));
    expect([source, destination].map((each) => each && formatPrefix(each))).toEqual(['10.1.0.0/16', '10.2.0.0/15']);
    expect(rule).toEqual({
      family: 4,
      priority: 50,
      fwmark: 0x80000000,
      fwmask: 0xff000000,
      iif: 'lo',
      invert: true,
      l3mdev: false,
      action: FR_ACT_TO_TBL,
      table: 5000,
      suppressPrefixLength: 0,
      protocol: 77,
    });
  });

  it('reads goto and a uid range', () => {
    const expected = { action: FR_ACT_GOTO, goto: 32766, uidRange: { first: 5, last: 9 } };
    expect(decodeRule(capturedMessage('ruleGoto'))).toMatchObject(expected);
  });

  it('reads a mark of 0, which the kernel leaves out', () => {
    const expected = { action: FR_ACT_UNREACHABLE, fwmark: 0, fwmask: 0xff };
    expect(decodeRule(capturedMessage('ruleZeroMark'))).toMatchObject(expected);
  });

  it('knows that -1 is no suppress_prefixlength', () => {
    const rule = decodeRule(capturedMessage('ruleV6'));
    expect(rule).toMatchObject({ family: 6, oif: 'v0', table: 77 });
    expect(rule.suppressPrefixLength).toBeUndefined();
  });
});

describe('encodeRuleAdd()', () => {
  it('is the inverse of decodeRule()', () => {
    fc.assert(
      fc.property(anyRule, (rule) => {
        expect(decoded(encodeRuleAdd(rule))).toEqual(rule);
        expect(decoded(encodeRuleDelete(rule))).toEqual(rule);
      }),
    );
  });

  it('never replaces', () => {
    const rule = decodeRule(capturedMessage('ruleFull'));
    expect(encodeRuleAdd(rule)).toMatchObject({ type: 32, flags: 0x605 });
    expect(encodeRuleDelete(rule)).toMatchObject({ type: 33, flags: 0x005 });
  });
});

describe('encodeRuleDump()', () => {
  it('asks for one family', () => {
    expect(encodeRuleDump(4)).toEqual({ type: 34, flags: 0x301, body: new Uint8Array([2, ...new Array(11).fill(0)]) });
  });
});
