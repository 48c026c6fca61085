/**
 * Takes the queries that the kernel redirects here, asks the resolvers on the way of whoever asked, and hands the answer back as
 * it came, once what it says is in force. What belongs to nobody, or cannot be read, gets no answer from anybody.
 */

import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram';
import { setMaxListeners } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Background } from '../kernel/background.ts';
import type { Conntrack } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { isShortage } from '../kernel/shortage.ts';
import { type Address, formatAddress, parseAddress } from '../net/address.ts';
import { addressesOf, type NamedAddresses } from '../net/dns-answer.ts';
import { dnsFailure, queryForm } from '../net/dns-failure.ts';
import { RCODE_SERVFAIL } from '../net/dns-message.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { DNS_RELAY_PORT } from '../plan/reserved.ts';
import { askResolvers } from './dns-ask.ts';
import { DnsStream, dnsFrame } from './dns-stream.ts';
import { type DnsFacts, dnsRoute } from './dns-ways.ts';

/** Each is a socket of its own. Beyond it programs are told at once that it did not work. */
export const MAX_QUERIES = 1024;
/** So that one program leaves room for others. */
export const MAX_QUERIES_PER_APP = 256;
const MAX_CONNECTIONS = 256;
/** Of answers, that a client has asked for and not read. */
const MAX_UNREAD_BYTES = 262_144;
/** RFC 7766 section 6.2.3: idle connections of clients are closed after some seconds. */
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

export interface DnsRelayParts {
  /** Of mistakes of ours: whoever asked is told that it did not work, and the next query is taken as ever. */
  readonly background: Background;
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

export class DnsRelay implements AsyncDisposable {
  readonly #parts: DnsRelayParts;
  readonly #abort = new AbortController();
  readonly #sockets: (DatagramSocket | Server)[] = [];
  readonly #connections = new Set<Socket>();
  readonly #pending = new Map<number, number>();
  #pendingTotal = 0;
  readonly #counts = { asked: 0, answered: 0, failed: 0, mismatched: 0, learned: 0 };

  private constructor(parts: DnsRelayParts) {
    this.#parts = parts;
    // One for each query under way, which has a bound of its own.
    setMaxListeners(MAX_QUERIES, this.#abort.signal);
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
    this.#abort.abort();
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  async #listen(own: Address): Promise<void> {
    const { background } = this.#parts;
    const address = formatAddress(own);
    const datagrams = createSocket({ type: own.family === 4 ? 'udp4' : 'udp6', ipv6Only: own.family === 6 });
    const server = createServer(
      { noDelay: true, allowHalfOpen: true },
      background.handler((connection: Socket) => this.#serve(connection, own)),
    );
    server.maxConnections = MAX_CONNECTIONS;
    const bound = [
      listening(datagrams, () => datagrams.bind({ port: DNS_RELAY_PORT, address, exclusive: true })),
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
    if (answer === undefined || this.#abort.signal.aborted) return;
    socket.send(answer, from.port, from.address, () => undefined);
  }

  #serve(connection: Socket, own: Address): void {
    const peer = parseAddress(connection.remoteAddress ?? '');
    const { remotePort: port } = connection;
    if (peer === undefined || port === undefined) {
      connection.destroy();
      return;
    }
    const { background } = this.#parts;
    this.#connections.add(connection);
    connection.on(
      'close',
      background.handler(() => this.#connections.delete(connection)),
    );
    connection.on(
      'error',
      background.handler(() => connection.destroy()),
    );
    connection.setTimeout(
      IDLE_MS,
      background.handler(() => connection.destroy()),
    );
    const client: Client = { protocol: IPPROTO_TCP, own, peer, port };
    let pending = 0;
    let isEnded = false;
    const answer = async (query: Uint8Array): Promise<void> => {
      pending += 1;
      const answered = await this.#answer(query, client);
      pending -= 1;
      if (connection.destroyed) return;
      // Whoever asks and does not read would be kept in memory.
      if (answered === undefined || connection.writableLength > MAX_UNREAD_BYTES) connection.destroy();
      else connection.write(dnsFrame(answered));
      if (isEnded && pending === 0) connection.end();
    };
    const stream = new DnsStream((query) => {
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
    const route = this.#route(client);
    if (route === undefined) return undefined;
    this.#counts.asked += 1;
    const form = queryForm(query);
    if (form.kind === 'ignored') return undefined;
    if (form.kind === 'refused') return failure(form.rcode);
    const { appId } = route;
    if (route.kind !== 'nobody' && route.uplink !== undefined) this.#parts.onUplink(route.uplink, route.kind === 'ask');
    if (route.kind !== 'ask' || !this.#begin(appId)) return failure(RCODE_SERVFAIL);
    try {
      const answer = await askResolvers(query, {
        transport: client.protocol === IPPROTO_TCP ? 'tcp' : 'udp',
        way: route.way,
        onMismatch: () => {
          this.#counts.mismatched += 1;
        },
        signal: this.#abort.signal,
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
      this.#end(appId);
    }
  }

  #route({ protocol, own, peer, port }: Client): ReturnType<typeof dnsRoute> {
    const facts = this.#parts.facts();
    if (facts === undefined) return undefined;
    try {
      const reply = { protocol, source: own, sourcePort: DNS_RELAY_PORT, destination: peer, destinationPort: port };
      const entry = this.#parts.conntrack.entryOfReply(reply);
      return entry && dnsRoute(entry, facts);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  #begin(appId: number): boolean {
    const pending = this.#pending.get(appId) ?? 0;
    if (pending >= MAX_QUERIES_PER_APP || this.#pendingTotal >= MAX_QUERIES) return false;
    this.#pending.set(appId, pending + 1);
    this.#pendingTotal += 1;
    return true;
  }

  #end(appId: number): void {
    const left = (this.#pending.get(appId) ?? 1) - 1;
    if (left === 0) this.#pending.delete(appId);
    else this.#pending.set(appId, left);
    this.#pendingTotal -= 1;
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
