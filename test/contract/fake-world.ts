import { FakeKernel, fakeLink } from '../../src/kernel/fake/fake-kernel.ts';
import type { OutgoingFlow } from '../../src/kernel/kernel.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../../src/net/protocol.ts';
import type { ConntrackEntry } from '../../src/netlink/conntrack.ts';
import {
  type Route,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTN_UNICAST,
  RTPROT_KERNEL,
} from '../../src/netlink/route.ts';
import { FR_ACT_TO_TBL, type RoutingRule } from '../../src/netlink/routing-rule.ts';
import type { ContractWorld, ProgramSocketKind } from './contract-world.ts';
import { address, prefix } from './routing-contract.ts';

const DEVICE_INDEX = 7;
const DEVICE_NAME = 'pm0';
const V4 = address('192.0.2.2');
const V6 = address('2001:db8::2');

const NEIGHBOUR = { pid: 4711, namespaceId: 0 };

const CONNECTED: Route = {
  family: 4,
  table: RT_TABLE_MAIN,
  destination: prefix('192.0.2.0/24'),
  type: RTN_UNICAST,
  scope: RT_SCOPE_LINK,
  protocol: RTPROT_KERNEL,
  metric: 0,
  oif: DEVICE_INDEX,
  onlink: false,
};

const CONNECTED6: Route = { ...CONNECTED, family: 6, destination: prefix('2001:db8::/64'), metric: 256 };

const MAIN: RoutingRule = {
  family: 4,
  priority: 32766,
  invert: false,
  l3mdev: false,
  action: FR_ACT_TO_TBL,
  table: RT_TABLE_MAIN,
  protocol: RTPROT_KERNEL,
};

export interface FakeWorld extends ContractWorld {
  readonly kernel: FakeKernel;
}

export async function openFakeWorld(): Promise<FakeWorld> {
  const state = { linkIndex: DEVICE_INDEX, scope: RT_SCOPE_UNIVERSE };
  const flags = { tentative: false, deprecated: false, dadFailed: false, secondary: false };
  const kernel = new FakeKernel({
    links: [fakeLink({ index: 1, name: 'lo', loopback: true }), fakeLink({ index: DEVICE_INDEX, name: DEVICE_NAME })],
    addresses: [
      { ...state, ...flags, address: V4, prefixLength: 24 },
      { ...state, ...flags, address: V6, prefixLength: 64 },
    ],
    routes: [CONNECTED, CONNECTED6],
    rules: [MAIN],
  });
  let entries = 0;
  return {
    kernel,
    deviceName: DEVICE_NAME,
    deviceIndex: DEVICE_INDEX,
    v4: V4,
    v6: V6,
    sendMarked: async (mark) => {
      entries += 1;
      kernel.conntrack.addEntry(entryOf(entries, mark));
    },
    addNeighbour: async () => {
      const neighbour = { index: DEVICE_INDEX + 1, name: 'pm2', kind: 'veth', linkNamespaceId: NEIGHBOUR.namespaceId };
      kernel.routing.setLinks([...kernel.routing.links(), fakeLink(neighbour)]);
      kernel.routing.setNamespaceIds(new Map([[NEIGHBOUR.pid, NEIGHBOUR.namespaceId]]));
      return { pid: NEIGHBOUR.pid, deviceName: neighbour.name };
    },
    addGateway: async () => {
      const device = { index: DEVICE_INDEX + 2, name: 'pm4' };
      kernel.routing.setLinks([...kernel.routing.links(), fakeLink(device)]);
      const key = { linkIndex: device.index, address: address('198.51.100.1') };
      const hardwareAddress = '00:00:5e:00:53:01';
      kernel.neighbours.answerFor(key, hardwareAddress);
      return { key, hardwareAddress };
    },
    openSocket: async (kind) => {
      const flow = flowOf(kind);
      if (kind !== 'udp4 unconnected') kernel.connections.connect(flow);
      return { flow, isAborted: async () => kind !== 'udp4 unconnected' && !kernel.connections.isOpen(flow) };
    },
    close: async () => {},
  };
}

function flowOf(kind: ProgramSocketKind): OutgoingFlow {
  const own = address(kind.endsWith('6') ? '::1' : '127.0.0.1');
  const protocol = kind.includes('tcp') ? IPPROTO_TCP : IPPROTO_UDP;
  return { protocol, source: own, destination: own, sourcePort: 40_000, destinationPort: 9 };
}

function entryOf(id: number, mark: number): ConntrackEntry {
  const there = address('192.0.2.9');
  const forth = { protocol: IPPROTO_UDP, source: V4, destination: there, sourcePort: 4000 + id, destinationPort: 9 };
  const back = { protocol: IPPROTO_UDP, source: there, destination: V4, sourcePort: 9, destinationPort: 4000 + id };
  return { id, mark, original: forth, reply: back, zone: 0, status: 0 };
}
