import { describe, expect, it } from 'vitest';
import type { TcpConnections } from '../kernel/tcp-connections.ts';
import { formatAddress, parseAddress, parsePrefix } from '../net/address.ts';
import { type InetSocket, TCP_ESTABLISHED } from '../netlink/sock-diag.ts';
import type { TcpInfo } from '../netlink/tcp-info.ts';
import { probeMark, wayMark } from '../plan/reserved.ts';
import type { UplinkState } from '../policy/facts.ts';
import { MAX_FLOWS_ASKED, PassiveHealth } from './passive-health.ts';

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const prefix = (text: string) => {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

function state(name: string, id: number, network: string): UplinkState {
  const addresses = [address(`${network}.2`), address(`2001:db8:${id}::2`)];
  const onLink = [prefix(`${network}.0/24`)];
  return { name, id, device: name, deviceIndex: id, up: true, v4: true, v6: true, addresses, onLink, gateways: {} };
}
const UPLINKS = [state('wifi', 1, '192.168.1'), state('cell', 2, '10.2.3')];

const IDLE: TcpInfo = {
  state: TCP_ESTABLISHED,
  retransmits: 0,
  unacked: 0,
  lastDataReceivedMs: 60_000,
  lastAckReceivedMs: 60_000,
  rttMs: 30,
  totalRetransmits: 0,
  bytesAcked: 1000n,
  bytesReceived: 1000n,
  dataSegmentsSent: 10,
};

interface Connection {
  readonly local?: string;
  readonly remote?: string;
  /** Where masquerading gave it another. */
  readonly onWire?: string;
  readonly cookie?: bigint;
  readonly mark?: number;
  readonly info?: Partial<TcpInfo>;
}

function socketOf({ local = '192.168.1.2', remote = '203.0.113.9', cookie = 1n, mark, info }: Connection): InetSocket {
  return {
    family: remote.includes(':') ? 6 : 4,
    state: TCP_ESTABLISHED,
    local: address(local),
    localPort: 40_000,
    remote: address(remote),
    remotePort: 443,
    interfaceIndex: 0,
    cookie,
    uid: 0,
    inode: 1,
    ...(mark !== undefined && { mark }),
    tcpInfo: { ...IDLE, ...info },
  };
}

/** A machine whose connections are whatever they are set to. */
function machine(first: readonly Connection[]) {
  let connections = first;
  let asked = 0;
  const flowOf: TcpConnections['flowOf'] = ({ local, localPort, remote, remotePort }) => {
    asked += 1;
    const connection = connections.find(
      (one) => formatAddress(socketOf(one).local) === formatAddress(local) && (one.onWire ?? '') !== '',
    );
    if (connection?.onWire === undefined) return undefined;
    const [source, destination] = [local, remote];
    return {
      original: { protocol: 6, source, sourcePort: localPort, destination, destinationPort: remotePort },
      reply: {
        protocol: 6,
        source: destination,
        sourcePort: remotePort,
        destination: address(connection.onWire),
        destinationPort: localPort,
      },
      id: 1,
      mark: 0,
      zone: 0,
      status: 0,
    };
  };
  const passive = new PassiveHealth({
    list: (family) => connections.map(socketOf).filter((socket) => socket.family === family),
    flowOf,
  });
  return {
    asked: () => asked,
    read: (next: readonly Connection[] = connections) => {
      connections = next;
      return Object.fromEntries(passive.read(UPLINKS));
    },
  };
}

const BEFORE: Connection = {};
const MORE = { bytesAcked: 9000n, dataSegmentsSent: 30 };

describe('PassiveHealth', () => {
  it('PassiveHealth says nothing of connections on which nothing moves', () => {
    expect(machine([BEFORE]).read()).toEqual({});
  });

  it('PassiveHealth takes what is acknowledged for a sign of life, with its delay', () => {
    const { read } = machine([BEFORE]);
    read();
    expect(read([{ info: MORE }])).toEqual({ 'wifi 4': { alive: 1, stalledPeers: 0, lossRatio: 0, rttMs: 30 } });
    expect(read()).toEqual({});
  });

  it('PassiveHealth measures no delay where something is only received', () => {
    const { read } = machine([BEFORE]);
    read();
    expect(read([{ info: { bytesReceived: 5000n, dataSegmentsSent: 10 } }])).toEqual({
      'wifi 4': { alive: 1, stalledPeers: 0, lossRatio: 0 },
    });
  });

  it('PassiveHealth hears at first sight of what has just been acknowledged', () => {
    const { read } = machine([{ info: { lastAckReceivedMs: 100 } }]);
    expect(read()).toEqual({ 'wifi 4': { alive: 1, stalledPeers: 0, lossRatio: 0 } });
  });

  it('PassiveHealth gives the shortest delay of several connections, and the share of what was sent again', () => {
    const others = [
      { cookie: 1n, info: { ...MORE, totalRetransmits: 5 } },
      { cookie: 2n, info: { ...MORE, rttMs: 12 } },
    ];
    const { read } = machine([{ cookie: 1n }, { cookie: 2n }]);
    read();
    expect(read(others)).toEqual({ 'wifi 4': { alive: 2, stalledPeers: 0, lossRatio: 0.125, rttMs: 12 } });
  });

  it('PassiveHealth counts peers that are sent to again and again', () => {
    const stalled = { retransmits: 3, totalRetransmits: 3 };
    const { read } = machine([
      { cookie: 1n, info: stalled },
      { cookie: 2n, info: stalled },
      { cookie: 3n, remote: '203.0.113.10', info: stalled },
    ]);
    expect(read()).toEqual({ 'wifi 4': { alive: 0, stalledPeers: 2, lossRatio: 0 } });
  });

  it('PassiveHealth books a connection to the uplink that it leaves by, not to the address of its socket', () => {
    const { read } = machine([{ onWire: '10.2.3.2' }]);
    read();
    expect(Object.keys(read([{ onWire: '10.2.3.2', info: MORE }]))).toEqual(['cell 4']);
  });

  it('PassiveHealth tells the families apart, by what is on the wire', () => {
    const v6 = { local: '2001:db8:2::2', remote: '2001:db8:99::1', cookie: 1n };
    const mapped = { local: '::ffff:10.2.3.2', remote: '::ffff:203.0.113.9', cookie: 2n };
    const { read } = machine([v6, mapped]);
    read();
    const keys = Object.keys(read([v6, mapped].map((one) => ({ ...one, info: MORE }))));
    expect(keys.sort()).toEqual(['cell 4', 'cell 6']);
  });

  it.each(['192.168.1.7', '127.0.0.1'])('PassiveHealth learns nothing from a connection to %s', (remote) => {
    const { read } = machine([{ remote }]);
    read();
    expect(read([{ remote, info: MORE }])).toEqual({});
  });

  it('PassiveHealth leaves out probes, and nothing else that is marked', () => {
    const stalled = { retransmits: 3 };
    expect(machine([{ mark: probeMark(1), info: stalled }]).read()).toEqual({});
    expect(machine([{ mark: wayMark(1), info: stalled }]).read()).toHaveProperty('wifi 4');
  });

  it('PassiveHealth asks for each flow once, and for a bounded number at once', () => {
    const many = Array.from({ length: 2 * MAX_FLOWS_ASKED }, (_, index) => ({ cookie: BigInt(index) }));
    const { read, asked } = machine(many);
    read();
    const moving = (bytesAcked: bigint) => many.map((one) => ({ ...one, info: { bytesAcked } }));
    read(moving(2000n));
    expect(asked()).toBe(MAX_FLOWS_ASKED);
    read(moving(3000n));
    read(moving(4000n));
    expect(asked()).toBe(2 * MAX_FLOWS_ASKED);
  });
});
