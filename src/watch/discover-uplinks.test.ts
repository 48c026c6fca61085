import { describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { parseAddress, parsePrefix } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import { type Route, RTPROT_RA, RTPROT_REDIRECT } from '../netlink/route.ts';
import { type DeviceClass, discoverUplinks, hasBothHalves, toldByKernel } from './discover-uplinks.ts';

const DEVICE = 3;
const TUN = { name: 'tun0', type: 65534, kind: 'tun' };

function route(to: string, part: Partial<Route> = {}): Route {
  const destination = parsePrefix(to);
  if (destination === undefined) throw new Error(to);
  const { family } = destination.address;
  const whole = {
    family,
    table: 254,
    destination,
    type: 1,
    scope: 0,
    protocol: 4,
    metric: 600,
    oif: DEVICE,
    onlink: false,
  };
  return { ...whole, ...part };
}

function found(link: Partial<Link>, to: readonly (string | Route)[], withAddress = true, isAdmitted?: () => boolean) {
  const address = parseAddress('192.0.2.2');
  if (address === undefined) throw new Error('address');
  const flags = { tentative: false, deprecated: false, dadFailed: false, secondary: false };
  const addresses = withAddress ? [{ linkIndex: DEVICE, address, prefixLength: 24, scope: 0, ...flags }] : [];
  const links = [
    fakeLink({ index: 1, name: 'lo', type: 772, loopback: true }),
    fakeLink({ index: DEVICE, name: 'eth0', ...link }),
  ];
  const routes = to.map((each) => (typeof each === 'string' ? route(each) : each));
  return discoverUplinks({ links, addresses, routes }, isAdmitted);
}

describe('discoverUplinks', () => {
  it.each([
    ['a default route of IPv4', {}, ['0.0.0.0/0']],
    ['a default route of IPv6', {}, ['::/0']],
    ['a default route in another table', {}, [route('0.0.0.0/0', { table: 51820 })]],
    ['a device of a container that has its default route there', { kind: 'veth' }, ['0.0.0.0/0']],
    ['a bridge that the machine itself is connected by', { kind: 'bridge' }, ['0.0.0.0/0']],
    ['a tunnel with halves of everything', TUN, ['0.0.0.0/1', '128.0.0.0/1']],
  ] satisfies [string, Partial<Link>, (string | Route)[]][])(
    'discoverUplinks finds %s',
    (_, link: Partial<Link>, to) => {
      expect(found(link, to)).toEqual([{ device: link.name ?? 'eth0', priority: 600 }]);
    },
  );

  it('discoverUplinks finds a multipath default route’s devices', () => {
    const { oif: _, ...multipath } = route('0.0.0.0/0', { nexthops: [{ oif: DEVICE, weight: 1, onlink: false }] });
    expect(found({}, [multipath])).toHaveLength(1);
  });

  it('discoverUplinks puts a tunnel that leads somewhere last', () => {
    expect(found(TUN, ['10.8.0.0/24'])).toEqual([{ device: 'tun0', priority: 1000 }]);
  });

  it('discoverUplinks keeps the kernel’s order: the best metric, at most the largest priority', () => {
    expect(found({}, [route('0.0.0.0/0', { metric: 100 }), '::/0'])).toMatchObject([{ priority: 100 }]);
    expect(found({}, [route('::/0', { metric: 1024 })])).toMatchObject([{ priority: 1000 }]);
  });

  it.each([
    ['a device without a default route', {}, ['192.0.2.0/24']],
    ['a bridge of containers', { name: 'docker0', kind: 'bridge' }, ['172.17.0.0/16']],
    ['this machine’s end of a container’s device', { kind: 'veth', masterIndex: 9 }, ['0.0.0.0/0']],
    ['a port of a bond', { masterIndex: 9 }, ['0.0.0.0/0']],
    ['loopback', { loopback: true, type: 772 }, ['0.0.0.0/0']],
    ['a device with halves of everything that is no tunnel', {}, ['0.0.0.0/1', '128.0.0.0/1']],
    ['a tunnel without a route', TUN, []],
    ['a tunnel with routes of the link alone', TUN, ['fe80::/64', 'ff00::/8']],
    ['a default route that is ours', {}, [route('0.0.0.0/0', { table: 17701 })]],
    ['a default route that refuses', {}, [route('0.0.0.0/0', { type: 7 })]],
  ] satisfies [string, Partial<Link>, (string | Route)[]][])('discoverUplinks passes over %s', (_, link, to) => {
    expect(found(link, to)).toEqual([]);
  });

  it('discoverUplinks passes over a tunnel without a global address', () => {
    expect(found(TUN, ['10.8.0.0/24'], false)).toEqual([]);
  });
});

describe('discoverUplinks, of what the network alone announces', () => {
  const announced = (to: string, part: Partial<Route> = {}) => route(to, { protocol: RTPROT_RA, ...part });

  it.each([
    ['a default route of a router advertisement', {}, [announced('::/0')]],
    ['those of two neighbours', {}, [announced('::/0'), announced('::/0', { metric: 1024 })]],
    ['one on a bridge', { kind: 'bridge' }, [announced('::/0')]],
    ['one that is put into a table of its own', {}, [announced('::/0', { table: 1003 })]],
    ['halves of everything, as route information', TUN, [announced('::/1'), announced('8000::/1')]],
    ['more specific routes that lead out by a tunnel', TUN, [announced('2001:db8:1::/48')]],
    ['a redirect', {}, [route('::/0', { protocol: RTPROT_REDIRECT })]],
    ['one beside routes that do not lead out', {}, ['2001:db8::/64', '192.0.2.0/24', announced('::/0')]],
  ] satisfies [string, Partial<Link>, (string | Route)[]][])(
    'discoverUplinks finds and does not take %s',
    (_, link, to) => {
      expect(found(link, to)).toMatchObject([{ untaken: true }]);
      expect(found(link, to, true, () => true)).not.toMatchObject([{ untaken: true }]);
    },
  );

  it.each([
    ['IPv4 that root or a DHCP client gave it', ['0.0.0.0/0', announced('::/0')]],
    ['a default route of root beside the announced one', ['::/0', announced('::/0')]],
  ] satisfies [string, (string | Route)[]][])('discoverUplinks takes a device with %s', (_, to) => {
    expect(found({}, to)).toEqual([{ device: 'eth0', priority: 600 }]);
  });
});

describe('toldByKernel', () => {
  const tell = (link: Partial<Link>, deviceClass?: DeviceClass) =>
    toldByKernel(fakeLink({ index: 3, name: 'x', ...link }), deviceClass);

  it.each([
    ['hardware with Ethernet addresses', {}, undefined, { type: 'ethernet' }],
    ['wifi', {}, 'wifi', { type: 'wifi' }],
    ['a modem that speaks Ethernet', {}, 'wwan', { type: 'cellular', metered: true }],
    ['a modem that speaks IP', { type: 519 }, undefined, { type: 'cellular', metered: true }],
    ['a telephone by Bluetooth', {}, 'bluetooth', { type: 'bluetooth', metered: true }],
    ['WireGuard', { type: 65534, kind: 'wireguard' }, undefined, { type: 'vpn', encrypted: true }],
    ['IPsec', { type: 65534, kind: 'xfrm' }, undefined, { type: 'vpn' }],
    ['OpenVPN in the kernel', { type: 65534, kind: 'ovpn' }, undefined, { type: 'vpn' }],
    ['tun', { type: 65534, kind: 'tun' }, undefined, {}],
    ['tap', { kind: 'tun' }, undefined, {}],
    ['GRE', { type: 778, kind: 'gre' }, undefined, {}],
    ['6in4', { type: 776, kind: 'sit' }, undefined, {}],
    ['DS-Lite', { type: 769, kind: 'ip6tnl' }, undefined, {}],
    ['PPP', { type: 512, kind: 'ppp' }, undefined, {}],
    ['InfiniBand', { type: 32 }, undefined, {}],
  ] satisfies [string, Partial<Link>, DeviceClass | undefined, object][])(
    'toldByKernel knows %s',
    (_, link, kind, told) => {
      expect(tell(link, kind).told).toEqual(told);
    },
  );

  it('toldByKernel guesses that a tun device which takes everything by halves is a VPN', () => {
    const tun = fakeLink({ index: DEVICE, name: 'tun0', type: 65534, kind: 'tun' });
    const by = (...to: readonly string[]) =>
      hasBothHalves(tun, { links: [tun], addresses: [], routes: to.map((each) => route(each)) });
    expect([by('0.0.0.0/1', '128.0.0.0/1'), by('::/1', '8000::/1')]).toEqual([true, true]);
    expect([by('0.0.0.0/0'), by('0.0.0.0/1'), by('0.0.0.0/1', '8000::/1')]).toEqual([false, false, false]);
    expect(toldByKernel(tun, undefined, true)).toMatchObject({ told: { type: 'vpn' }, guesses: ['type'] });
    expect(
      toldByKernel(fakeLink({ index: DEVICE, name: 'gre0', type: 778, kind: 'gre' }), undefined, true).told,
    ).toEqual({});
  });

  it('toldByKernel guesses that modems cost money', () => {
    expect(tell({}, 'wwan').guesses).toEqual(['metered']);
    expect(tell({}).guesses).toEqual([]);
  });
});
