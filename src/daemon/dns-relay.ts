/**
 * Takes the queries that the kernel redirects here, asks the resolvers on the way of whoever asked, and hands the answer back as
 * it came, once what it says is in force. What belongs to nobody, or cannot be read, gets no answer from anybody.
 */

import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Background } from '../kernel/background.ts';
import type { Conntrack } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { openReceivingSocket } from '../kernel/receiving-socket.ts';
import { isShortage } from '../kernel/shortage.ts';
import { type Address, formatAddress, parseAddress } from '../net/address.ts';
import { addressesOf, type NamedAddresses } from '../net/dns-answer.ts';
import { dnsFailure, queryForm } from '../net/dns-failure.ts';
import { RCODE_SERVFAIL } from '../net/dns-message.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import type { ConntrackTuple } from '../netlink/conntrack-tuple.ts';
import { DNS_RELAY_PORT } from '../plan/reserved.ts';
import { askResolvers } from './dns-ask.ts';
import { DnsStream, dnsFrame } from './dns-stream.ts';
import { type DnsFacts, dnsRoute } from './dns-ways.ts';
import { UserShares } from './user-shares.ts';

/** Each is a socket of its own. Beyond it programs are told at once that it did not work. */
export const MAX_QUERIES = 1024;
export const MAX_QUERIES_PER_USER = 512;
/** So that one program leaves room for others of its user. */
export const MAX_QUERIES_PER_APP = 256;
export const MAX_CONNECTIONS = 256;
export const MAX_CONNECTIONS_PER_USER = 64;
/** Of queries that wait to be read: those of one user who sends many at once are not to push out those of another. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Of answers, that a client has asked for and not read. */
const MAX_UNREAD_BYTES = 262_144;
/** RFC 7766 section 6.2.3: idle connections of clients are closed after some seconds. Half a query is none. */
const IDLE_MS = 10_000;

const LISTEN_ON: readonly Address[] = [
  { family: 4, value: 0x7f000001n },
  { family: 6, value: 1n },
];

export interface DnsCounts {
  readonly asked: number;
  readonly answered: number;
  /** Told that it did not work, because nobody answered or nobody could be asked. */
  readonly failed: number;
  /** What came from a resolver and was no answer to a query. */
  readonly mismatched: number;
  /** Names for which an answer brought addresses that were new. */
  readonly learned: number;
}

/** Stands for the user of a socket that is closed already, and so waits for no answer. */
const NOBODY_KNOWS = -1;

/** What users share here. */
export type DnsShare = 'queries' | 'connections';

export interface DnsRelayParts {
  /** Of mistakes of ours: whoever asked is told that it did not work, and the next query is taken as ever. */
  readonly background: Background;
  /** The user of the socket that sends this flow; undefined where there is none any more. */
  readonly userOf: (flow: ConntrackTuple) => number | undefined;
  /** Somebody is refused what is beyond his share. */
  readonly onShareFull: (uid: number, share: DnsShare) => void;
  readonly conntrack: Pick<Conntrack, 'entryOfReply'>;
  readonly facts: () => DnsFacts | undefined;
  /** Resolves when what the answer says is in force, with the number of names that it brought something for. */
  readonly learn: (appId: number, answers: readonly NamedAddresses[]) => Promise<number>;
  /** Whether a resolver is known that this uplink leads to: at each query. */
  readonly onUplink: (uplink: string, hasResolver: boolean) => void;
}

/** One side of a conversation. */
interface Client {
  readonly protocol: number;
  readonly own: Address;
  readonly peer: Address;
  readonly port: number;
}

type Redirected = Pick<ConntrackEntry, 'mark' | 'original'>;

interface Query {
  readonly appId: number;
  readonly abort: AbortController;
}

export class DnsRelay implements AsyncDisposable {
  readonly #parts: DnsRelayParts;
  readonly #sockets: (DatagramSocket | Server)[] = [];
  readonly #connections = new UserShares<Socket>({
    places: MAX_CONNECTIONS,
    placesOfUser: MAX_CONNECTIONS_PER_USER,
  });
  readonly #queries = new UserShares<Query>({ places: MAX_QUERIES, placesOfUser: MAX_QUERIES_PER_USER });
  readonly #queriesOfApp = new Map<number, number>();
  #isClosed = false;
  readonly #counts = { asked: 0, answered: 0, failed: 0, mismatched: 0, learned: 0 };

  private constructor(parts: DnsRelayParts) {
    this.#parts = parts;
  }

  /** Rejects where the port is taken. A machine without IPv6 has no queries by it. */
  static async open(parts: DnsRelayParts): Promise<DnsRelay> {
    const relay = new DnsRelay(parts);
    try {
      for (const address of LISTEN_ON) await relay.#listen(address);
      return relay;
    } catch (error) {
      await relay[Symbol.asyncDispose]();
      throw error;
    }
  }

  get counts(): DnsCounts {
    return { ...this.#counts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const { abort } of this.#queries.all()) abort.abort();
    for (const connection of this.#connections.all()) connection.destroy();
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  async #listen(own: Address): Promise<void> {
    const { background } = this.#parts;
    const address = formatAddress(own);
    const datagrams = createSocket({ type: own.family === 4 ? 'udp4' : 'udp6', ipv6Only: own.family === 6 });
    const server = createServer(
      { noDelay: true, allowHalfOpen: true },
      background.handler((connection: Socket) => {
        try {
          this.#serve(connection, own);
        } catch (error) {
          connection.destroy();
          throw error;
        }
      }),
    );
    const bound = [
      listening(datagrams, () => {
        const fd = openReceivingSocket({
          address: own,
          port: DNS_RELAY_PORT,
          receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        });
        datagrams.bind({ fd });
      }),
      listening(server, () => server.listen({ port: DNS_RELAY_PORT, host: address, exclusive: true })),
    ];
    const outcomes = await Promise.allSettled(bound);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) {
      datagrams.close();
      server.close();
      if (own.family === 6 && isWithoutAddress(failed.reason)) return;
      throw failed.reason;
    }
    this.#sockets.push(datagrams, server);
    datagrams.on(
      'message',
      background.handler((query: Uint8Array, from: RemoteInfo) => this.#takeDatagram(datagrams, own, query, from)),
    );
    // Such as a refused answer of before, or no descriptor left: the next query comes all the same.
    datagrams.on('error', background.handler(hearShortage));
    server.on('error', background.handler(hearShortage));
  }

  async #takeDatagram(socket: DatagramSocket, own: Address, query: Uint8Array, from: RemoteInfo): Promise<void> {
    const peer = parseAddress(from.address);
    if (peer === undefined) return;
    const answer = await this.#answer(query, { protocol: IPPROTO_UDP, own, peer, port: from.port });
    if (answer === undefined || this.#isClosed) return;
    socket.send(answer, from.port, from.address, () => undefined);
  }

  #serve(connection: Socket, own: Address): void {
    const peer = parseAddress(connection.remoteAddress ?? '');
    const { remotePort: port } = connection;
    const { background } = this.#parts;
    connection.on(
      'error',
      background.handler(() => connection.destroy()),
    );
    const client: Client | undefined =
      peer === undefined || port === undefined ? undefined : { protocol: IPPROTO_TCP, own, peer, port };
    const entry = client && this.#redirected(client);
    if (client === undefined || entry === undefined) {
      connection.destroy();
      return;
    }
    const uid = this.#parts.userOf(entry.original) ?? NOBODY_KNOWS;
    if (!this.#place(uid, connection)) {
      connection.destroy();
      return;
    }
    const idle = background.timeout(() => connection.destroy(), IDLE_MS);
    connection.on(
      'close',
      background.handler(() => {
        clearTimeout(idle);
        this.#connections.free(uid, connection);
      }),
    );
    const isUsed = (): void => {
      idle.refresh();
      this.#connections.touch(uid, connection);
    };
    let pending = 0;
    let isEnded = false;
    const answer = async (query: Uint8Array): Promise<void> => {
      pending += 1;
      const answered = await this.#answer(query, client);
      pending -= 1;
      if (connection.destroyed) return;
      isUsed();
      // Whoever asks and does not read would be kept in memory.
      if (answered === undefined || connection.writableLength > MAX_UNREAD_BYTES) connection.destroy();
      else connection.write(dnsFrame(answered));
      if (isEnded && pending === 0) connection.end();
    };
    const stream = new DnsStream((query) => {
      isUsed();
      answer(query).catch((error: unknown) => {
        connection.destroy();
        background.hear(error);
      });
    });
    connection.on(
      'end',
      background.handler(() => {
        isEnded = true;
        if (pending === 0) connection.end();
      }),
    );
    connection.on(
      'data',
      background.handler((chunk: Uint8Array) => stream.take(chunk)),
    );
  }

  /** Undefined: nothing is said. */
  async #answer(query: Uint8Array, client: Client): Promise<Uint8Array | undefined> {
    const failure = (rcode: number): Uint8Array | undefined => {
      this.#counts.failed += 1;
      return dnsFailure(query, rcode);
    };
    const entry = this.#redirected(client);
    const facts = this.#parts.facts();
    const route = entry && facts && dnsRoute(entry, facts);
    if (entry === undefined || route === undefined) return undefined;
    this.#counts.asked += 1;
    const form = queryForm(query);
    if (form.kind === 'ignored') return undefined;
    if (form.kind === 'refused') return failure(form.rcode);
    const { appId } = route;
    if (route.kind !== 'nobody' && route.uplink !== undefined) this.#parts.onUplink(route.uplink, route.kind === 'ask');
    if (route.kind !== 'ask') return failure(RCODE_SERVFAIL);
    const uid = this.#parts.userOf(entry.original) ?? NOBODY_KNOWS;
    const begun = this.#begin(uid, appId);
    if (begun === undefined) return failure(RCODE_SERVFAIL);
    try {
      const answer = await askResolvers(query, {
        transport: client.protocol === IPPROTO_TCP ? 'tcp' : 'udp',
        way: route.way,
        onMismatch: () => {
          this.#counts.mismatched += 1;
        },
        signal: begun.abort.signal,
      });
      if (answer === undefined) return failure(RCODE_SERVFAIL);
      const named = addressesOf(answer.message);
      if (named.length > 0) this.#counts.learned += await this.#parts.learn(appId, named);
      this.#counts.answered += 1;
      return answer.bytes;
    } catch (error) {
      this.#parts.background.hear(error);
      return failure(RCODE_SERVFAIL);
    } finally {
      this.#end(uid, begun);
    }
  }

  /** Undefined for who asks the relay itself, which nobody is told to. */
  #redirected({ protocol, own, peer, port }: Client): Redirected | undefined {
    try {
      const reply = { protocol, source: own, sourcePort: DNS_RELAY_PORT, destination: peer, destinationPort: port };
      const entry = this.#parts.conntrack.entryOfReply(reply);
      return entry?.original.destinationPort === DNS_RELAY_PORT ? undefined : entry;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  #place(uid: number, connection: Socket): boolean {
    const taken = this.#connections.take(uid, connection);
    if (taken.kind === 'full') this.#parts.onShareFull(uid, 'connections');
    if (taken.kind === 'taken over') {
      taken.given.destroy();
      this.#parts.onShareFull(taken.from, 'connections');
    }
    return taken.kind !== 'full';
  }

  #begin(uid: number, appId: number): Query | undefined {
    const ofApp = this.#queriesOfApp.get(appId) ?? 0;
    const query = { appId, abort: new AbortController() };
    const taken = ofApp >= MAX_QUERIES_PER_APP ? ({ kind: 'full' } as const) : this.#queries.take(uid, query);
    if (taken.kind === 'full') {
      this.#parts.onShareFull(uid, 'queries');
      return undefined;
    }
    if (taken.kind === 'taken over') {
      // Whoever asked is told that it did not work.
      taken.given.abort.abort();
      this.#parts.onShareFull(taken.from, 'queries');
    }
    this.#queriesOfApp.set(appId, ofApp + 1);
    return query;
  }

  #end(uid: number, query: Query): void {
    this.#queries.free(uid, query);
    const left = (this.#queriesOfApp.get(query.appId) ?? 1) - 1;
    if (left === 0) this.#queriesOfApp.delete(query.appId);
    else this.#queriesOfApp.set(query.appId, left);
  }
}

/** Throws what is to be heard of: an error that concerns a client alone is none. */
function hearShortage(error: Error): void {
  if (isShortage(error)) throw error;
}

function listening(socket: DatagramSocket | Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('listening', resolve);
    socket.once('error', reject);
    start();
  });
}

const isWithoutAddress = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(String(error.code));
