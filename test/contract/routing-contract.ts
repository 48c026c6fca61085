import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Routing } from '../../src/kernel/kernel.ts';
import { type Address, parseAddress, parsePrefix } from '../../src/net/address.ts';
import type { PlannedRoute, PlannedRule } from '../../src/plan/plan.ts';
import {
  MARK_WAY,
  ROUTE_TABLE_BASE,
  RULE_PREF_LOCAL,
  RULE_PREF_LOCAL_UNREACHABLE,
  RULE_PREF_SOURCE,
  RULE_PREF_UPLINK,
  UPLINK_LOCAL,
  wayMark,
} from '../../src/plan/reserved.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';

const TABLE_ID = ROUTE_TABLE_BASE + 3;

export const address = (text: string): Address => required(parseAddress(text));
export const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => required(parsePrefix(text));

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test’s own text is wrong');
  return value;
}

/** One of each kind that plans have. */
export function sampleRoutes({ deviceIndex, v4 }: Pick<ContractWorld, 'deviceIndex' | 'v4'>): PlannedRoute[] {
  const table = TABLE_ID;
  const throwing = { metric: 0xffffffff, table, target: { kind: 'throw' } } as const;
  return [
    { family: 4, table, destination: prefix('192.0.2.0/24'), metric: 1, target: { kind: 'unicast', deviceIndex } },
    {
      family: 4,
      table,
      destination: prefix('0.0.0.0/0'),
      metric: 2,
      target: { kind: 'unicast', deviceIndex, gateway: address('192.0.2.1'), source: v4 },
    },
    { family: 4, destination: prefix('0.0.0.0/0'), ...throwing },
    { family: 6, table, destination: prefix('2001:db8::/64'), metric: 1, target: { kind: 'unicast', deviceIndex } },
    {
      family: 6,
      table,
      destination: prefix('::/0'),
      metric: 2,
      target: { kind: 'unicast', deviceIndex, gateway: address('fe80::1') },
    },
    { family: 6, destination: prefix('::/0'), ...throwing },
  ];
}

export function sampleRules({ v4, v6 }: Pick<ContractWorld, 'v4' | 'v6'>): PlannedRule[] {
  const action = { kind: 'table', table: TABLE_ID } as const;
  return ([4, 6] as const).flatMap((family): PlannedRule[] => [
    {
      family,
      priority: RULE_PREF_LOCAL,
      fwmark: { mark: wayMark(UPLINK_LOCAL), mask: MARK_WAY },
      suppressPrefixLength: 0,
      action: { kind: 'table', table: 254 },
    },
    {
      family,
      priority: RULE_PREF_LOCAL_UNREACHABLE,
      fwmark: { mark: wayMark(UPLINK_LOCAL), mask: MARK_WAY },
      action: { kind: 'unreachable' },
    },
    { family, priority: RULE_PREF_UPLINK + 3, fwmark: { mark: wayMark(3), mask: MARK_WAY }, action },
    {
      family,
      priority: RULE_PREF_SOURCE,
      from: family === 4 ? { address: v4, length: 32 } : { address: v6, length: 128 },
      action,
    },
  ]);
}

export function routingContract(openWorld: OpenWorld): void {
  let world: ContractWorld;
  let routing: Routing;
  beforeEach(async () => {
    world = await openWorld();
    routing = world.kernel.routing;
  });
  afterEach(() => world.close());

  it('Routing.links() and addresses() show the device', () => {
    const link = routing.links().find(({ index }) => index === world.deviceIndex);
    expect(link).toMatchObject({ name: world.deviceName, up: true, lowerUp: true, loopback: false });
    const own = routing.addresses().filter(({ linkIndex }) => linkIndex === world.deviceIndex);
    expect(own.map((entry) => entry.address)).toEqual(expect.arrayContaining([world.v4, world.v6]));
  });

  it('Routing.namespaceIdOf() gives the number by which a link names the namespace of its other end', async () => {
    const { pid, deviceName } = await world.addNeighbour();
    const link = routing.links().find(({ name }) => name === deviceName);
    expect(link?.linkNamespaceId).toBeTypeOf('number');
    expect(routing.namespaceIdOf(pid)).toBe(link?.linkNamespaceId);
  });

  it('Routing.namespaceIdOf() knows no number of a process that does not exist, nor of one that no link leads to', () => {
    expect(routing.namespaceIdOf(0x7ffffff0)).toBeUndefined();
    expect(routing.namespaceIdOf(1)).toBeUndefined();
  });

  it('Routing.deviceTo() finds the device of a connected network, and none where no route leads', () => {
    for (const near of ['192.0.2.77', '2001:db8::77']) {
      expect(routing.deviceTo(address(near), 0)).toBe(world.deviceIndex);
    }
    for (const far of ['203.0.113.77', '2001:db8:ffff::77']) expect(routing.deviceTo(address(far), 0)).toBeUndefined();
  });

  it('Routing.ownRoutes() returns planned routes as they were added, and no others', () => {
    const foreign = routing.routes().length;
    expect(foreign).toBeGreaterThan(0);
    expect(routing.ownRoutes()).toEqual([]);
    const wanted = sampleRoutes(world);
    for (const route of wanted) routing.addRoute(route);
    expect(routing.ownRoutes()).toHaveLength(wanted.length);
    expect(routing.ownRoutes()).toEqual(expect.arrayContaining(wanted));
    for (const route of wanted) routing.deleteRoute(route);
    expect(routing.ownRoutes()).toEqual([]);
    expect(routing.routes()).toHaveLength(foreign);
  });

  it('Routing.ownRules() returns planned rules as they were added, and no others', () => {
    const foreign = routing.rules().length;
    expect(foreign).toBeGreaterThan(0);
    expect(routing.ownRules()).toEqual([]);
    const wanted = sampleRules(world);
    for (const rule of wanted) routing.addRule(rule);
    expect(routing.ownRules()).toHaveLength(wanted.length);
    expect(routing.ownRules()).toEqual(expect.arrayContaining(wanted));
    for (const rule of wanted) routing.deleteRule(rule);
    expect(routing.ownRules()).toEqual([]);
    expect(routing.rules()).toHaveLength(foreign);
  });

  it.each([0, 3])(
    'Routing.addRoute() takes the place of a route with the same destination and metric (%#)',
    (index) => {
      const old = required(sampleRoutes(world)[index]);
      const gateway = address(old.family === 4 ? '192.0.2.9' : 'fe80::9');
      const target = { kind: 'unicast', deviceIndex: world.deviceIndex, gateway } as const;
      routing.addRoute(old);
      routing.addRoute({ ...old, target });
      expect(routing.ownRoutes()).toEqual([{ ...old, target }]);
      // What has been replaced is gone, and deleting it must not hit its successor by the same device.
      expect(() => routing.deleteRoute(old)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
      expect(routing.ownRoutes()).toEqual([{ ...old, target }]);
    },
  );

  it('Routing.addRoute() refuses a device that does not exist', () => {
    const route = required(sampleRoutes({ ...world, deviceIndex: 54321 })[0]);
    const refused = expect.objectContaining({ name: 'KernelError', code: 'ENODEV', operation: 'add route' });
    expect(() => routing.addRoute(route)).toThrow(refused);
    expect(routing.ownRoutes()).toEqual([]);
  });

  it('Routing.deleteRoute() refuses a route that is not there', () => {
    for (const route of sampleRoutes(world)) {
      expect(() => routing.deleteRoute(route)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
    }
  });

  it('Routing.addRule() refuses a rule that is there, deleteRule() one that is not', () => {
    for (const rule of sampleRules(world)) {
      expect(() => routing.deleteRule(rule)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
      routing.addRule(rule);
      expect(() => routing.addRule(rule)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    }
    expect(routing.ownRules()).toHaveLength(sampleRules(world).length);
  });
}
