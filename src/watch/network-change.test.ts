import { describe, expect, it } from 'vitest';
import { routeOfPlan, ruleOfPlan } from '../kernel/planned-routing.ts';
import { parsePrefix } from '../net/address.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/message.ts';
import { encodeRouteAdd, encodeRouteDelete } from '../netlink/route.ts';
import { encodeRuleAdd, encodeRuleDelete } from '../netlink/routing-rule.ts';
import { ROUTE_TABLE_BASE, RULE_PREF_LOCAL } from '../plan/reserved.ts';
import { RULE_WINDOW_LOWEST } from '../plan/rule-window.ts';
import { isNetworkChange, isOwnRemoval } from './network-change.ts';

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

  it('isNetworkChange() is false where one of ours has gone: isOwnRemoval() tells of that', () => {
    for (const gone of [event(encodeRouteDelete(ROUTE)), event(encodeRuleDelete(RULE))])
      expect([isNetworkChange(gone), isOwnRemoval(gone)]).toEqual([false, true]);
    for (const other of [
      event(encodeRouteAdd(ROUTE, { ifExists: 'replace' })),
      event(encodeRuleAdd(RULE)),
      event(encodeRouteDelete({ ...ROUTE, table: 254 })),
      event(encodeRuleDelete({ ...RULE, protocol: 0 })),
      { ...event(encodeRuleDelete(RULE)), body: new Uint8Array(3) },
    ])
      expect(isOwnRemoval(other)).toBe(false);
  });

  it('isNetworkChange() is true for routes and rules of others', () => {
    for (const other of [
      { ...ROUTE, table: 254 },
      { ...ROUTE, protocol: 4 },
    ]) {
      expect(isNetworkChange(event(encodeRouteAdd(other, { ifExists: 'fail' })))).toBe(true);
    }
    for (const other of [
      { ...RULE, priority: RULE_WINDOW_LOWEST - 1 },
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
