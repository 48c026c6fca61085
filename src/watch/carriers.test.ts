import { describe, expect, it } from 'vitest';
import { FakeKernel, fakeLink } from '../kernel/fake/fake-kernel.ts';
import { parseAddress, parsePrefix } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import type { Route } from '../netlink/route.ts';
import { carrierOf } from './carriers.ts';

const address = (text: string) => parseAddress(text) ?? expect.fail(text);
const route = (to: string, oif: number, metric = 100): Route => {
  const destination = parsePrefix(to) ?? expect.fail(to);
  const { family } = destination.address;
  return { family, table: 254, destination, type: 1, scope: 0, protocol: 4, metric, oif, onlink: false };
};

const LO = fakeLink({ index: 1, name: 'lo', loopback: true });
const WIFI = fakeLink({ index: 2, name: 'wlan0' });
const PHONE = fakeLink({ index: 3, name: 'wwan0' });
const REMOTE = address('198.51.100.9');
const FLOW = { remote: REMOTE, mark: 0 };
const TUN = { kind: 'tun', type: 65534 };

/** Everything by wlan0, but for one host by wwan0. */
function look(link: Partial<Link>, own: readonly string[] = [], tell: (kernel: FakeKernel) => void = () => undefined) {
  const device = fakeLink({ index: 9, name: 'x0', ...link });
  const flags = { tentative: false, deprecated: false, dadFailed: false, secondary: false };
  const links = [LO, WIFI, PHONE, device];
  const addresses = own.map((text) => ({ linkIndex: 9, address: address(text), prefixLength: 32, scope: 0, ...flags }));
  const routes = [route('0.0.0.0/0', 2), route('::/0', 2), route('198.51.100.9/32', 3), route('127.0.0.0/8', 1)];
  const kernel = new FakeKernel({ links, addresses, routes });
  tell(kernel);
  return carrierOf(device, { links, addresses, routes }, kernel);
}

const by = (device: string) => ({ kind: 'devices', devices: [device] });
const UNKNOWN = { kind: 'unknown' };

describe('carrierOf', () => {
  it.each([
    ['hardware', {}],
    ['a modem that speaks IP', { type: 519, kind: 'wwan', lowerIndex: undefined }],
    ['one end of a wire', { kind: 'veth', lowerIndex: 2 }],
    ['loopback', { loopback: true }],
    ['a bridge without ports', { kind: 'bridge' }],
  ] as [string, Partial<Link>][])('carrierOf knows that %s carries its packets itself', (_, link) => {
    const { lowerIndex, ...rest } = link;
    expect(look(lowerIndex === undefined ? rest : link)).toBeUndefined();
  });

  it.each([
    ['a VLAN', { kind: 'vlan', lowerIndex: 3 }, { ...by('wwan0'), sameNetwork: true }],
    ['a macvlan', { kind: 'macvlan', lowerIndex: 3 }, { ...by('wwan0'), sameNetwork: true }],
    ['a tunnel that is bound to a device', { kind: 'gre', lowerIndex: 2, tunnel: FLOW }, by('wlan0')],
    ['GRE, by the route to its other end', { kind: 'gre', tunnel: FLOW }, by('wwan0')],
    ['VXLAN, by the route to its other end', { kind: 'vxlan', tunnel: FLOW }, by('wwan0')],
    ['a tunnel to many', { kind: 'sit', type: 776, tunnel: { mark: 0 } }, UNKNOWN],
    ['a tunnel to somebody on loopback', { kind: 'ipip', tunnel: { remote: address('127.0.0.1'), mark: 0 } }, UNKNOWN],
    ['PPP', { kind: 'ppp', type: 512 }, UNKNOWN],
    ['WireGuard that has spoken to nobody', { kind: 'wireguard', type: 65534 }, UNKNOWN],
    ['a tun device that nobody is seen to hold', TUN, UNKNOWN],
    ['a tap device that nobody is seen to hold', { kind: 'tun', type: 1 }, UNKNOWN],
  ] satisfies [string, Partial<Link>, object][])('carrierOf finds that of %s', (_, link, carrier) => {
    expect(look(link)).toEqual(carrier);
  });

  it('carrierOf finds those of a bridge or bond in its ports', () => {
    const links = [LO, { ...WIFI, masterIndex: 9 }, { ...PHONE, masterIndex: 9 }, fakeLink({ index: 9, name: 'br0' })];
    const [, , , bridge] = links;
    const network = { links, addresses: [], routes: [] };
    expect(carrierOf(bridge ?? expect.fail(), network, new FakeKernel())).toEqual({
      kind: 'devices',
      devices: ['wlan0', 'wwan0'],
    });
  });

  it('carrierOf finds that of a tun device and of WireGuard by where their sockets send', () => {
    const bound = [{ deviceIndex: 2, mark: 0xca6c }];
    expect(look(TUN, [], ({ tunnels }) => tunnels.carryTun('x0', [FLOW]))).toEqual(by('wwan0'));
    expect(look(TUN, [], ({ tunnels }) => tunnels.carryTun('x0', bound))).toEqual(by('wlan0'));
    const both = { kind: 'devices', devices: ['wlan0', 'wwan0'] };
    expect(look(TUN, [], ({ tunnels }) => tunnels.carryTun('x0', [FLOW, ...bound]))).toEqual(both);
    const wireguard = { kind: 'wireguard', type: 65534 };
    expect(look(wireguard, [], ({ tunnels }) => tunnels.carryWireGuard(9, [FLOW]))).toEqual(by('wwan0'));
  });

  it.each([
    ['of its name', { ...TUN, name: 'clat' }, []],
    ['with a number', { ...TUN, name: 'clat0' }, []],
    ['by an address of RFC 7335', { ...TUN, name: 'nat64' }, ['192.0.0.1']],
  ] satisfies [string, Partial<Link>, string[]][])(
    'carrierOf takes a CLAT %s for the IPv4 of the link by which IPv6 leaves',
    (_, link, own) => {
      expect(look(link, own)).toEqual({ ...by('wlan0'), sameNetwork: true });
    },
  );

  it('carrierOf takes a CLAT that is called after a link for that link’s, and DS-Lite for that of the way to its other end', () => {
    expect(look({ ...TUN, name: 'v4-wwan0' })).toEqual({ ...by('wwan0'), sameNetwork: true });
    const lite = { kind: 'ip6tnl', type: 769, tunnel: FLOW };
    expect(look(lite, ['192.0.0.2'])).toEqual({ ...by('wwan0'), sameNetwork: true });
    expect(look(lite, ['192.0.2.2'])).toEqual(by('wwan0'));
  });
});
