import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type InetSocket, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_TIME_WAIT } from '../netlink/sock-diag.ts';
import { openSockets, socketStateName } from './open-sockets.ts';
import { formatSocket } from './socket-evidence.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

type End = readonly [string, number];

function inet(state: number, [local, localPort]: End, [remote, remotePort]: End, inode = 1): InetSocket {
  const ends = { local: address(local), localPort, remote: address(remote), remotePort };
  return { family: ends.local.family, state, ...ends, interfaceIndex: 0, cookie: 1n, uid: 0, inode };
}

const ICMP_TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   17: 00000000:0007 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4242 2 0000000000000000 0
`;

function listed(sockets: Readonly<Record<string, readonly InetSocket[]>>, table = '') {
  const asked: number[] = [];
  const tables = {
    lookup: () => undefined,
    dump: ({ family, protocol, states }: { family: number; protocol: number; states: number }) => {
      asked.push(states);
      return [...(sockets[`${protocol}/${family}`] ?? [])];
    },
  };
  const found = openSockets(tables, { netTable: (name) => (name === 'icmp' ? table : '') });
  return { found, asked };
}

describe('openSockets', () => {
  it('openSockets shows IPv4 as IPv4, whatever socket carries it', () => {
    const { found } = listed({
      [`${IPPROTO_TCP}/6`]: [
        inet(TCP_ESTABLISHED, ['::ffff:10.0.0.1', 4000], ['::ffff:192.0.2.1', 443], 7),
        inet(TCP_LISTEN, ['::ffff:10.0.0.1', 80], ['::', 0]),
        inet(TCP_LISTEN, ['::', 22], ['::', 0]),
      ],
      [`${IPPROTO_UDP}/4`]: [inet(TCP_CLOSE, ['0.0.0.0', 53], ['0.0.0.0', 0])],
    });
    expect(found.map(({ flow }) => formatSocket(flow))).toEqual([
      'tcp 10.0.0.1:4000 -> 192.0.2.1:443',
      'tcp 10.0.0.1:80',
      'tcp [::]:22',
      'udp 0.0.0.0:53',
    ]);
    expect(found.map(socketStateName)).toEqual(['established', 'listening', 'listening', 'open']);
    expect(found[0]).toMatchObject({ inode: 7, cookie: 1n });
  });

  it('openSockets leaves out what no process holds', () => {
    const { found, asked } = listed({ [`${IPPROTO_TCP}/4`]: [inet(1, ['10.0.0.1', 1], ['10.0.0.2', 2], 0)] });
    expect(found).toEqual([]);
    expect(asked.every((states) => (states & (1 << TCP_TIME_WAIT)) === 0 && states > 0)).toBe(true);
  });

  it('openSockets shows the sockets of ping, which have no ports', () => {
    const { found } = listed({}, ICMP_TABLE);
    expect(found).toMatchObject([{ inode: 4242, uid: 1000, flow: { protocol: IPPROTO_ICMP } }]);
    expect(found.map(({ flow }) => formatSocket(flow))).toEqual(['icmp 0.0.0.0']);
  });
});
