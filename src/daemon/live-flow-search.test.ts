import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { TCP_ESTABLISHED, TCP_LISTEN } from '../netlink/sock-diag.ts';
import { liveFlows } from './live-flow-search.ts';
import type { OpenSocket } from './open-sockets.ts';

type End = readonly [address: string, port: number];

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function flow(protocol: number, from: End, to: End): Flow {
  const [source, destination] = [address(from[0]), address(to[0])];
  const peer = to[1] === 0 ? {} : { destinationPort: to[1] };
  return { protocol, source, sourcePort: from[1], destination, ...peer, loopback: false };
}

let nextId = 1;

/** `seen`: the receiver as it is reached, where it has another address than the one asked for. */
function entry(protocol: number, from: End, to: End, seen: End = to): ConntrackEntry {
  const { loopback: _, ...original } = flow(protocol, from, to);
  const { loopback: __, ...reply } = flow(protocol, seen, from);
  return { original, reply, id: nextId++, mark: 0x80000001, zone: 0, status: 0 };
}

function socket(protocol: number, from: End, to: End, state = TCP_ESTABLISHED): OpenSocket {
  return { flow: flow(protocol, from, to), inode: nextId++, uid: 0, state };
}

const HERE: End = ['10.0.0.1', 4000];
const THERE: End = ['192.0.2.1', 443];
const isOwn = ({ value }: Address): boolean => value === address('10.0.0.1').value || value >> 24n === 127n;
const all = (): boolean => true;

describe('liveFlows', () => {
  it('liveFlows joins a connection with the socket that opened it', () => {
    const [decided, opened] = [entry(IPPROTO_TCP, HERE, THERE), socket(IPPROTO_TCP, HERE, THERE)];
    expect(liveFlows({ entries: [decided], sockets: [opened], isOwn }, all)).toEqual([
      { flow: flow(IPPROTO_TCP, HERE, THERE), entry: decided, socket: opened },
    ]);
  });

  it('liveFlows joins a connection that came in with the socket that accepted it, where the port was another one', () => {
    const decided = entry(IPPROTO_TCP, THERE, ['10.0.0.1', 80], ['10.0.0.1', 8080]);
    const accepted = socket(IPPROTO_TCP, ['10.0.0.1', 8080], THERE);
    const inward = { ...flow(IPPROTO_TCP, THERE, ['10.0.0.1', 8080]), inbound: true };
    const seen = { entries: [decided], sockets: [accepted], isOwn };
    expect(liveFlows(seen, all)).toEqual([{ flow: inward, entry: decided, socket: accepted }]);
    const isMeant = ({ destinationPort }: Flow): boolean => destinationPort === 80;
    expect(liveFlows(seen, isMeant)).toHaveLength(1);
    expect(liveFlows(seen, ({ destinationPort }) => destinationPort === 81)).toEqual([]);
  });

  it('liveFlows shows both ends of a connection within this host', () => {
    const [client, server]: [End, End] = [
      ['127.0.0.1', 5000],
      ['127.0.0.1', 80],
    ];
    const entries = [entry(IPPROTO_TCP, client, server)];
    const sockets = [socket(IPPROTO_TCP, client, server), socket(IPPROTO_TCP, server, client)];
    const found = liveFlows({ entries, sockets, isOwn }, all);
    expect(found.map((each) => [each.flow.inbound ?? false, each.socket?.inode])).toEqual([
      [false, sockets[0]?.inode],
      [true, sockets[1]?.inode],
    ]);
  });

  it('liveFlows shows a listener and a socket that no connection is known of', () => {
    const listener = socket(IPPROTO_TCP, ['0.0.0.0', 22], ['0.0.0.0', 0], TCP_LISTEN);
    const older = socket(IPPROTO_TCP, HERE, THERE);
    const found = liveFlows({ entries: [], sockets: [listener, older], isOwn }, all);
    expect(found).toMatchObject([
      { flow: flow(IPPROTO_TCP, HERE, THERE), socket: older },
      { flow: { inbound: true, destinationPort: 22, sourcePort: 0 }, socket: listener },
    ]);
  });

  it('liveFlows does not repeat a socket without a peer whose connections it shows', () => {
    const unconnected = socket(IPPROTO_UDP, ['0.0.0.0', 4000], ['0.0.0.0', 0], 7);
    const other = socket(IPPROTO_UDP, ['0.0.0.0', 4001], ['0.0.0.0', 0], 7);
    const decided = entry(IPPROTO_UDP, HERE, THERE);
    expect(liveFlows({ entries: [decided], sockets: [unconnected, other], isOwn }, all)).toMatchObject([
      { entry: decided },
      { socket: other },
    ]);
  });

  it('liveFlows tells what passes through from what begins or ends here', () => {
    const passing = entry(IPPROTO_TCP, ['172.17.0.2', 9], THERE);
    const inward = entry(IPPROTO_UDP, THERE, HERE);
    expect(liveFlows({ entries: [passing, inward], sockets: [], isOwn }, all)).toMatchObject([
      { isForwarded: true, entry: passing },
      { flow: { inbound: true }, entry: inward },
    ]);
  });
});
