import { describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import type { LinkAddress } from '../netlink/link-address.ts';
import type { Route } from '../netlink/route.ts';
import type { Uplink } from '../policy/model.ts';
import { observeHost } from './host-facts.ts';

const WIFI = 3;
const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

const linkAddress = (text: string, part: Partial<LinkAddress> = {}): LinkAddress => ({
  linkIndex: WIFI,
  address: address(text),
  prefixLength: 24,
  scope: 0,
  tentative: false,
  deprecated: false,
  dadFailed: false,
  secondary: false,
  ...part,
});

function route(to: string, part: Partial<Route> = {}): Route {
  const destination = parsePrefix(to);
  if (destination === undefined) throw new Error(to);
  const { family } = destination.address;
  return {
    family,
    table: 254,
    destination,
    type: 1,
    scope: 0,
    protocol: 2,
    metric: 100,
    oif: WIFI,
    onlink: false,
    ...part,
  };
}

const UPLINK: Uplink = {
  name: 'wifi',
  device: 'wifi0',
  priority: 1,
  properties: { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at: { file: 'wifi.yaml', line: 1, column: 1 },
};

interface Machine {
  readonly link?: Partial<Link>;
  readonly addresses?: readonly LinkAddress[];
  readonly routes?: readonly Route[];
  readonly uplink?: Partial<Uplink>;
}

function observe({ link = {}, addresses = [], routes = [], uplink = {} }: Machine) {
  const links = [fakeLink({ index: 1, name: 'lo', loopback: true }), fakeLink({ index: WIFI, name: 'wifi0', ...link })];
  const facts = observeHost({ links, addresses, routes }, [{ ...UPLINK, ...uplink }], new Map([['wifi', 7]]));
  const [state] = facts.uplinks;
  if (state === undefined) throw new Error('no uplink');
  const inside = facts.inside.map((one) => `${one.is} ${formatAddress(one.address)}`);
  return { state, onLink: facts.onLink.map(formatPrefix), inside };
}

const GATEWAY = address('192.0.2.1');
const V4 = [linkAddress('192.0.2.2')];
const DEFAULT_V4 = route('0.0.0.0/0', { gateway: GATEWAY });

describe('observeHost', () => {
  it('observeHost() takes an uplink for up with carrier, an address and a gateway', () => {
    const { state } = observe({ addresses: V4, routes: [DEFAULT_V4] });
    expect(state).toMatchObject({ id: 7, deviceIndex: WIFI, up: true, v4: true, v6: false, gateways: { v4: GATEWAY } });
    expect(state.addresses).toEqual([address('192.0.2.2')]);
  });

  it.each([
    ['the device does not exist', { uplink: { device: 'gone0' } }],
    ['the device is down', { link: { up: false } }],
    ['there is no carrier', { link: { lowerUp: false } }],
    ['there is no address', { addresses: [] }],
    ['there is no gateway', { routes: [] }],
    ['the address is link-local', { addresses: [linkAddress('169.254.1.1', { scope: 253 })] }],
    ['the address is tentative', { addresses: [linkAddress('192.0.2.2', { tentative: true })] }],
    ['the address is deprecated', { addresses: [linkAddress('192.0.2.2', { deprecated: true })] }],
    ['the address is another device’s', { addresses: [linkAddress('192.0.2.2', { linkIndex: 1 })] }],
    ['the default route is another device’s', { routes: [route('0.0.0.0/0', { gateway: GATEWAY, oif: 9 })] }],
    ['the default route is unreachable', { routes: [route('0.0.0.0/0', { type: 7 })] }],
    ['the default route is ours', { routes: [route('0.0.0.0/0', { gateway: GATEWAY, table: 17707 })] }],
  ] satisfies [string, Machine][])('observeHost() takes an uplink for down where %s', (_, part) => {
    expect(observe({ addresses: V4, routes: [DEFAULT_V4], ...part }).state).toMatchObject({
      up: false,
      v4: false,
      v6: false,
    });
  });

  it.each([
    ['device down', { link: { up: false, lowerUp: false } }],
    ['no carrier', { link: { lowerUp: false }, addresses: [] }],
    ['no address', { addresses: [], routes: [] }],
    ['no default route', { routes: [] }],
  ] satisfies [string, Machine][])(
    'observeHost() says that an uplink is down for want of the first that is missing: %s',
    (because, part) => {
      expect(observe({ addresses: V4, routes: [DEFAULT_V4], ...part }).state).toMatchObject({ downBecause: because });
      expect(observe({ addresses: V4, routes: [DEFAULT_V4] }).state).not.toHaveProperty('downBecause');
    },
  );

  it('observeHost() tells the families apart', () => {
    const addresses = [...V4, linkAddress('2001:db8::2')];
    const v6 = address('fe80::1');
    expect(observe({ addresses, routes: [DEFAULT_V4] }).state).toMatchObject({ v4: true, v6: false });
    const both = [DEFAULT_V4, route('::/0', { gateway: v6 })];
    expect(observe({ addresses, routes: both }).state).toMatchObject({
      v4: true,
      v6: true,
      gateways: { v4: GATEWAY, v6 },
    });
  });

  it('observeHost() takes the gateway of the best default route, of any table that is not ours', () => {
    const better = address('192.0.2.9');
    const routes = [DEFAULT_V4, route('0.0.0.0/0', { gateway: better, metric: 50, table: 1000 })];
    expect(observe({ addresses: V4, routes }).state.gateways).toEqual({ v4: better });
  });

  it('observeHost() finds its gateway in a multipath route', () => {
    const hop = (oif: number, gateway: string) => ({ oif, gateway: address(gateway), weight: 1, onlink: false });
    const { oif: _, ...multipath } = route('0.0.0.0/0', { nexthops: [hop(9, '198.51.100.1'), hop(WIFI, '192.0.2.1')] });
    expect(observe({ addresses: V4, routes: [multipath] }).state.gateways).toEqual({ v4: GATEWAY });
  });

  it('observeHost() takes the file’s gateway, whether the kernel tells none or another', () => {
    const uplink = { gateways: { v4: '192.0.2.7' } };
    expect(observe({ addresses: V4, uplink }).state).toMatchObject({
      v4: true,
      gateways: { v4: address('192.0.2.7') },
    });
    expect(observe({ addresses: V4, uplink, routes: [DEFAULT_V4] }).state.gateways).toEqual({
      v4: address('192.0.2.7'),
    });
  });

  it('observeHost() asks no gateway of a tunnel, nor where the kernel’s default route has none', () => {
    expect(observe({ addresses: V4, link: { type: 65534 } }).state).toMatchObject({ up: true, gateways: {} });
    expect(observe({ addresses: V4, routes: [route('0.0.0.0/0')] }).state).toMatchObject({ up: true, gateways: {} });
  });

  it('observeHost() counts connected networks of main as on-link, and nothing else', () => {
    const { onLink, state } = observe({
      routes: [
        route('192.0.2.0/24', { scope: 253 }),
        route('192.0.2.0/24', { scope: 253, metric: 600 }),
        route('2001:db8::/64'),
        route('10.9.0.0/16', { oif: 9 }),
        route('198.51.100.0/24', { gateway: GATEWAY }),
        route('203.0.113.0/24', { table: 1000 }),
        route('203.0.113.0/24', { type: 7 }),
        route('127.0.0.0/8', { oif: 1 }),
        route('0.0.0.0/1'),
        route('128.0.0.0/1'),
        route('fe80::/64'),
        route('ff00::/8'),
        route('224.0.0.0/4'),
        DEFAULT_V4,
      ],
    });
    expect(onLink).toEqual(['192.0.2.0/24', '2001:db8::/64']);
    expect(state.onLink.map(formatPrefix)).toEqual(onLink);
  });

  it('observeHost() lists this machine’s addresses, gateways and the resolvers of uplinks, whatever an uplink uses', () => {
    const { inside } = observe({
      addresses: [
        ...V4,
        linkAddress('198.51.100.7', { linkIndex: 9, scope: 253 }),
        linkAddress('127.0.0.1', { linkIndex: 1 }),
      ],
      routes: [
        DEFAULT_V4,
        route('::/0', { gateway: address('fe80::1') }),
        route('10.0.0.0/8', { gateway: address('10.0.0.9') }),
      ],
      uplink: { gateways: { v4: '192.0.2.254' }, resolvers: [address('192.0.2.53'), GATEWAY] },
    });
    expect(inside).toEqual([
      'resolver 192.0.2.1',
      'own 192.0.2.2',
      'resolver 192.0.2.53',
      'gateway 192.0.2.254',
      'own 198.51.100.7',
      'gateway fe80::1',
    ]);
  });

  it('observeHost() leaves an uplink without an id out', () => {
    const network = { links: [], addresses: [], routes: [] };
    expect(observeHost(network, [UPLINK], new Map())).toEqual({
      uplinks: [],
      onLink: [],
      doubted: [],
      overstated: [],
      inside: [],
    });
  });
});
