import { describe, expect, it } from 'vitest';
import { routeOfPlan, ruleOfPlan } from '../kernel/planned-routing.ts';
import { parsePrefix } from '../net/address.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/message.ts';
import { encodeRouteAdd, encodeRouteDelete } from '../netlink/route.ts';
import { encodeRuleAdd, encodeRuleDelete } from '../netlink/routing-rule.ts';
import { ROUTE_TABLE_BASE, RULE_PREF_LOCAL } from '../plan/reserved.ts';
import { isNetworkChange } from './network-change.ts';

/** An event has the form of the request that led to it. */
const event = ({ type, flags, body }: NetlinkRequest): NetlinkMessage => ({
  type,
  flags,
  body,
  sequence: 0,
  portId: 0,
});

const destination = parsePrefix('192.0.2.0/24');
if (destination === undefined) throw new Error('the test’s own text is wrong');
const ROUTE = routeOfPlan({
  family: 4,
  table: ROUTE_TABLE_BASE + 1,
  destination,
  metric: 1,
  target: { kind: 'throw' },
});
const RULE = ruleOfPlan({ family: 6, priority: RULE_PREF_LOCAL, action: { kind: 'unreachable' } });

describe('isNetworkChange', () => {
  it('isNetworkChange() is false for routes and rules that we have added', () => {
    expect(isNetworkChange(event(encodeRouteAdd(ROUTE, { ifExists: 'replace' })))).toBe(false);
    expect(isNetworkChange(event(encodeRuleAdd(RULE)))).toBe(false);
  });

  it('isNetworkChange() is true where one of ours has gone', () => {
    expect(isNetworkChange(event(encodeRouteDelete(ROUTE)))).toBe(true);
    expect(isNetworkChange(event(encodeRuleDelete(RULE)))).toBe(true);
  });

  it('isNetworkChange() is true for routes and rules of others', () => {
    for (const other of [
      { ...ROUTE, table: 254 },
      { ...ROUTE, protocol: 4 },
    ]) {
      expect(isNetworkChange(event(encodeRouteAdd(other, { ifExists: 'fail' })))).toBe(true);
    }
    for (const other of [
      { ...RULE, priority: 100 },
      { ...RULE, protocol: 0 },
    ]) {
      expect(isNetworkChange(event(encodeRuleAdd(other)))).toBe(true);
    }
  });

  it('isNetworkChange() is true for what cannot be decoded', () => {
    const broken = { ...event(encodeRuleAdd(RULE)), body: new Uint8Array(3) };
    expect(isNetworkChange(broken)).toBe(true);
  });
});
