import { describe, expect, it } from 'vitest';
import { ruleOfPlan } from '../kernel/planned-routing.ts';
import { parsePrefix } from '../net/address.ts';
import {
  type Route,
  RT_SCOPE_UNIVERSE,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTPROT_STATIC,
} from '../netlink/route.ts';
import {
  FR_ACT_BLACKHOLE,
  FR_ACT_GOTO,
  FR_ACT_NOP,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  type RoutingRule,
} from '../netlink/routing-rule.ts';
import { ROUTE_PROTOCOL, wayMark } from '../plan/reserved.ts';
import { familiesWithoutDefault, ownerOfRule, routingConflicts, rulesFrom } from './foreign-rules.ts';

const RULE: RoutingRule = {
  family: 4,
  priority: 100,
  invert: false,
  l3mdev: false,
  action: FR_ACT_TO_TBL,
  table: 100,
  protocol: 3,
};
const WG_QUICK = { ...RULE, priority: 17_699, fwmark: 0xca6c, fwmask: 0xffffffff, invert: true, table: 51_820 };
const WG_QUICK_MAIN = { ...RULE, priority: 17_698, table: 254, suppressPrefixLength: 0 };
const TAILSCALE: readonly RoutingRule[] = [
  { ...RULE, priority: 5210, fwmark: 0x80000, fwmask: 0xff0000, table: 254 },
  { ...RULE, priority: 5230, fwmark: 0x80000, fwmask: 0xff0000, table: 253 },
  { ...RULE, priority: 5250, fwmark: 0x80000, fwmask: 0xff0000, action: FR_ACT_UNREACHABLE, table: 0 },
  { ...RULE, priority: 5270, table: 52 },
];
const MWAN3: readonly RoutingRule[] = [
  { ...RULE, priority: 1001, iif: 'wan', table: 1 },
  { ...RULE, priority: 2001, fwmark: 0x100, fwmask: 0x3f00, table: 1 },
  { ...RULE, priority: 2061, fwmark: 0x3d00, fwmask: 0x3f00, action: FR_ACT_BLACKHOLE, table: 0 },
];
/** What the kernel begins with. */
const KERNEL: readonly RoutingRule[] = [
  { ...RULE, priority: 0, table: 255, protocol: 2 },
  { ...RULE, priority: 32_766, table: 254, protocol: 2 },
  { ...RULE, priority: 32_767, table: 253, protocol: 2 },
];

function route(table: number, to: string, more: Partial<Route> = {}): Route {
  const destination = parsePrefix(to);
  if (destination === undefined) throw new Error('the test’s own text is wrong');
  const how = {
    type: RTN_UNICAST,
    scope: RT_SCOPE_UNIVERSE,
    protocol: RTPROT_STATIC,
    metric: 0,
    onlink: false,
    oif: 2,
  };
  return { family: destination.address.family, table, destination, ...how, ...more };
}

const MAIN = route(254, '0.0.0.0/0');
const routing = (rules: readonly RoutingRule[], routes: readonly Route[] = []) => ({
  rules: () => [...KERNEL, ...rules],
  routes: () => [MAIN, ...routes],
});

describe('rulesFrom', () => {
  it('rulesFrom() leaves our rules where they are beside rules that pass ours on', () => {
    const beside = [
      ...TAILSCALE,
      ...MWAN3,
      WG_QUICK_MAIN,
      // Calico's WireGuard: a table of some networks.
      { ...RULE, priority: 99, fwmark: 0x100000, fwmask: 0x100000, invert: true, table: 1 },
      { ...RULE, action: FR_ACT_NOP },
      { ...RULE, action: FR_ACT_GOTO, goto: 17_000 },
      { ...RULE, table: 254, suppressPrefixLength: 0 },
    ];
    expect(rulesFrom(routing(beside, [route(52, '100.64.0.7/32'), route(1, '10.244.0.0/16')]))).toBeUndefined();
  });

  it('rulesFrom() goes before a rule of wg-quick’s that took the number below ours', () => {
    expect(rulesFrom(routing([WG_QUICK, WG_QUICK_MAIN], [route(51_820, '0.0.0.0/0')]))).toBe(17_100);
  });

  it('rulesFrom() goes before Tailscale’s table where that leads to an exit node', () => {
    expect(rulesFrom(routing(TAILSCALE, [route(52, '0.0.0.0/0')]))).toBe(4800);
  });

  it.each([
    ['halves of everything', [route(100, '0.0.0.0/1'), route(100, '128.0.0.0/1')], {}],
    ['halves where only a default is suppressed', [route(100, '0.0.0.0/1')], { suppressPrefixLength: 0 }],
    ['a refusal', [], { action: FR_ACT_UNREACHABLE, table: 0 }],
    ['a jump past ours', [], { action: FR_ACT_GOTO, goto: 32_766, table: 0 }],
    ['a default for one user', [route(100, '0.0.0.0/0')], { uidRange: { first: 1000, last: 1000 } }],
    ['a default for what is sent here', [route(100, '0.0.0.0/0')], { iif: 'lo' }],
    ['a default for marks of ours', [route(100, '0.0.0.0/0')], { fwmark: wayMark(2), fwmask: 0xff000000 }],
  ])('rulesFrom() goes before a rule with %s', (_what, routes, more: Partial<RoutingRule>) => {
    expect(rulesFrom(routing([{ ...RULE, priority: 1000, ...more }], routes))).toBe(600);
  });

  it.each([
    ['of another family', [route(100, '::/0')], {}],
    ['that throws', [route(100, '0.0.0.0/0', { type: RTN_THROW })], {}],
    ['that is suppressed', [route(100, '0.0.0.0/0')], { suppressPrefixLength: 0 }],
    ['for what comes in', [route(100, '0.0.0.0/0')], { iif: 'wan' }],
    ['for sockets of a device', [route(100, '0.0.0.0/0')], { oif: 'wan' }],
    ['for some destinations', [route(100, '0.0.0.0/0')], { destination: MAIN.destination }],
    ['for some ports', [route(100, '0.0.0.0/0')], { selectsMore: true as const }],
    ['of a VRF', [route(100, '0.0.0.0/0')], { l3mdev: true }],
    ['for marks that ours never have', [route(100, '0.0.0.0/0')], { fwmark: 1, fwmask: 0xffffffff }],
    ['for nothing', [route(100, '0.0.0.0/0')], { invert: true }],
    ['behind ours', [route(100, '0.0.0.0/0')], { priority: 18_000 }],
  ])('rulesFrom() stays beside a default %s', (_what, routes, more: Partial<RoutingRule>) => {
    expect(rulesFrom(routing([{ ...RULE, priority: 1000, ...more }], routes))).toBeUndefined();
  });

  it('rulesFrom() is not moved by our own rules', () => {
    const own = ruleOfPlan({ family: 4, priority: 17_100, action: { kind: 'unreachable' } });
    expect(rulesFrom(routing([own]))).toBeUndefined();
  });
});

describe('familiesWithoutDefault', () => {
  const without = (rules: readonly RoutingRule[], routes: readonly Route[]) =>
    familiesWithoutDefault(routing([...KERNEL.map((rule) => ({ ...rule, family: 6 as const })), ...rules]), routes);

  it('familiesWithoutDefault() is empty where main leads everywhere, by halves or in a table for all, too', () => {
    expect(without([], [MAIN, route(254, '::/0')])).toEqual([]);
    expect(without([], [route(254, '0.0.0.0/1'), route(254, '128.0.0.0/1'), route(254, '::/0')])).toEqual([]);
    expect(without([WG_QUICK, WG_QUICK_MAIN], [route(51_820, '0.0.0.0/0'), route(254, '::/0')])).toEqual([]);
  });

  it.each([
    ['a network', [route(254, '10.0.0.0/8')], []],
    ['a refusal', [route(254, '0.0.0.0/0', { type: RTN_UNREACHABLE })], []],
    ['a table that no rule leads to', [route(100, '0.0.0.0/0')], []],
    [
      'a table of ours',
      [route(17_701, '0.0.0.0/0')],
      [ruleOfPlan({ family: 4, priority: 17_711, action: { kind: 'table', table: 17_701 } })],
    ],
    ['a table for one address', [route(100, '0.0.0.0/0')], [{ ...RULE, source: MAIN.destination }]],
    ['a default that is suppressed', [route(100, '0.0.0.0/0')], [{ ...RULE, suppressPrefixLength: 0 }]],
  ])('familiesWithoutDefault() takes %s for no default', (_what, routes, rules: readonly RoutingRule[]) => {
    expect(without(rules, [...routes, route(254, '::/0')])).toEqual([4]);
  });
});

describe('routingConflicts', () => {
  const kinds = (...given: Parameters<typeof routing>): string[] =>
    routingConflicts(routing(...given)).map(({ kind }) => kind);

  it('routingConflicts() says nothing of those who keep out of each other’s way', () => {
    const rules = [...TAILSCALE, WG_QUICK, WG_QUICK_MAIN, { ...RULE, fwmark: 1, fwmask: 0xffffffff }];
    expect(kinds(rules, [route(51_820, '0.0.0.0/0'), route(52, '100.64.0.0/10')])).toEqual([]);
  });

  it('routingConflicts() names who uses mark bits of ours, once for both families', () => {
    const [mwan3] = routingConflicts(routing([...MWAN3, ...MWAN3.map((rule) => ({ ...rule, family: 6 as const }))]));
    expect(mwan3).toEqual({
      kind: 'mark bits',
      text: 'routing rule 2001 (mwan3) tells packets by mark 0x00000100/0x00003f00, of which 0x00003f00 are bits of pointsman',
    });
    expect(kinds([...MWAN3, ...MWAN3])).toEqual(['mark bits', 'mark bits']);
    expect(kinds([{ ...RULE, fwmark: 0x10000000, fwmask: 0x10000000 }])).toEqual(['mark bits']);
  });

  it('routingConflicts() tells of a rule that takes everything so early that none of ours fits before it', () => {
    const rule = { ...RULE, priority: 50 };
    expect(kinds([rule], [route(100, '0.0.0.0/0')])).toEqual(['comes first']);
    expect(kinds([rule], [route(100, '10.0.0.0/8')])).toEqual([]);
  });

  it('routingConflicts() tells of strangers among our rules, wherever those stand now', () => {
    const among = { ...RULE, priority: 17_800, destination: MAIN.destination };
    expect(kinds([among])).toEqual(['among ours']);
    expect(kinds([among, WG_QUICK], [route(51_820, '0.0.0.0/0')])).toEqual([]);
    const amongMoved = { ...among, priority: 17_150 };
    expect(kinds([amongMoved])).toEqual([]);
    expect(kinds([amongMoved, WG_QUICK], [route(51_820, '0.0.0.0/0')])).toEqual(['among ours']);
  });

  it('routingConflicts() tells of strangers’ routes in our tables, and of nobody’s with our number elsewhere', () => {
    const ours = { protocol: ROUTE_PROTOCOL };
    expect(kinds([], [route(17_701, '192.0.2.0/24'), route(17_702, '0.0.0.0/0', ours)])).toEqual(['in our tables']);
    expect(kinds([], [route(100, '192.0.2.0/24', ours), route(17_700, '192.0.2.0/24')])).toEqual([]);
  });
});

describe('ownerOfRule', () => {
  it.each<readonly [string | undefined, RoutingRule]>([
    ['wg-quick', WG_QUICK],
    ['wg-quick', { ...WG_QUICK, fwmark: 51_821, table: 51_821 }],
    ['Mullvad VPN', { ...RULE, fwmark: 0x6d6f6c65, invert: true, table: 0x6d6f6c65 }],
    ...TAILSCALE.map((rule) => ['Tailscale', rule] as const),
    ['mwan3', { ...RULE, fwmark: 0x200, fwmask: 0x3f00 }],
    ['Cilium', { ...RULE, priority: 9, fwmark: 0x200, fwmask: 0xf00, table: 2004 }],
    ['pbr', { ...RULE, fwmark: 0x10000, fwmask: 0xff0000 }],
    ['IPsec', { ...RULE, priority: 220, table: 220 }],
    [undefined, RULE],
  ])('ownerOfRule() knows %s', (owner, rule) => {
    expect(ownerOfRule(rule)).toBe(owner);
  });
});
