/**
 * One query to one resolver after the other, until one answers: from sockets of their own, whose mark keeps them on their way,
 * each with a fresh random id and a port of the kernel's choice. What is no answer to it is dropped, and counted.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Socket } from 'node:net';
import { KernelError } from '../kernel/kernel-error.ts';
import { openMarkedSocket, sendOn } from '../kernel/marked-socket.ts';
import type { Address } from '../net/address.ts';
import { isAnswerTo } from '../net/dns-answer.ts';
import {
  type DnsMessage,
  DnsMessageError,
  decodeDnsMessage,
  decodeDnsQuestions,
  withDnsId,
} from '../net/dns-message.ts';
import { DNS_PORT } from '../policy/dns-query.ts';
import { DnsStream, dnsFrame } from './dns-stream.ts';

/** After this time without an answer the next is asked as well; whoever answers first is heard, on slow links too. */
export const NEXT_AFTER_MS = 1500;
/** glibc asks again after 5 s: by then the program has been told. */
export const ALL_WITHIN_MS = 4500;
/** Datagrams get lost: where there are fewer resolvers, they are asked again. */
const MIN_DATAGRAMS = 3;
const MAX_ID = 0x10000;
const OVER = 'over';

/** `mark`: of the socket, which leads to the uplink's table and past our own chains. */
export interface DnsWay {
  readonly mark: number;
  readonly resolvers: readonly Address[];
}

export interface DnsAnswer {
  /** Under the id of the query. */
  readonly bytes: Uint8Array;
  readonly message: DnsMessage;
  readonly resolver: Address;
}

export interface AskOptions {
  readonly transport: 'udp' | 'tcp';
  readonly way: DnsWay;
  /** Something came from a resolver that is no answer to what it was asked. */
  readonly onMismatch: () => void;
  readonly signal: AbortSignal;
}

/** Undefined where none answers. Throws DnsMessageError for bytes that are no query. */
export async function askResolvers(query: Uint8Array, options: AskOptions): Promise<DnsAnswer | undefined> {
  const { id } = decodeDnsQuestions(query);
  const { resolvers } = options.way;
  const attempts = options.transport === 'udp' ? Math.max(MIN_DATAGRAMS, resolvers.length) : resolvers.length;
  const over = new AbortController();
  const { signal } = over;
  // With a reason of our own no error is made, which nobody would look at: each query is over once.
  const stop = (): void => over.abort(OVER);
  options.signal.addEventListener('abort', stop);
  let deadline: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      let asked = 0;
      let open = 0;
      let later: NodeJS.Timeout | undefined;
      const askNext = (): void => {
        clearTimeout(later);
        const resolver = resolvers[asked % resolvers.length];
        if (resolver === undefined || asked >= attempts || signal.aborted) return;
        asked += 1;
        open += 1;
        if (asked < attempts) later = setTimeout(askNext, NEXT_AFTER_MS);
        askOne(query, resolver, { ...options, signal })
          .then((found) => {
            open -= 1;
            if (found !== undefined) resolve({ bytes: withDnsId(found.bytes, id), message: found.message, resolver });
            // Nobody is there, who would be asked in vain again.
            else if (asked < resolvers.length) askNext();
            else if (open === 0) resolve(undefined);
          })
          .catch(reject);
      };
      deadline = setTimeout(() => resolve(undefined), ALL_WITHIN_MS);
      signal.addEventListener('abort', () => {
        clearTimeout(later);
        resolve(undefined);
      });
      askNext();
      if (open === 0) resolve(undefined);
    });
  } finally {
    clearTimeout(deadline);
    options.signal.removeEventListener('abort', stop);
    stop();
  }
}

interface Matched {
  readonly bytes: Uint8Array;
  readonly message: DnsMessage;
}

async function askOne(query: Uint8Array, peer: Address, options: AskOptions): Promise<Matched | undefined> {
  const sent = withDnsId(query, randomInt(MAX_ID));
  const asked = decodeDnsQuestions(sent);
  const match = (bytes: Uint8Array): Matched | undefined => {
    const message = answerOf(bytes);
    if (message !== undefined && isAnswerTo(asked, message)) return { bytes, message };
    options.onMismatch();
    return undefined;
  };
  const { transport: kind, way } = options;
  let fd: number;
  try {
    fd = openMarkedSocket({ kind, mark: way.mark, peer, port: DNS_PORT });
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
  return await (kind === 'udp' ? askByUdp(fd, sent, peer, match, options) : askByTcp(fd, sent, match, options));
}

function answerOf(bytes: Uint8Array): DnsMessage | undefined {
  try {
    return decodeDnsMessage(bytes);
  } catch (error) {
    if (error instanceof DnsMessageError) return undefined;
    throw error;
  }
}

/** What came in, which is no answer perhaps. */
type Hear = (bytes: Uint8Array) => void;

/**
 * Resolves with the first answer that is heard; undefined where `listen` gives up, or it is over. What goes wrong in an event
 * is this query's failure, nobody else's.
 */
function firstOf(
  { signal }: AskOptions,
  match: Match,
  listen: (hear: Hear, giveUp: () => void) => () => void,
): Promise<Matched | undefined> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    let close = (): void => undefined;
    const end = (settle: () => void): void => {
      if (isDone) return;
      isDone = true;
      signal.removeEventListener('abort', giveUp);
      close();
      settle();
    };
    const giveUp = (): void => end(() => resolve(undefined));
    const hear = (bytes: Uint8Array): void => {
      try {
        const found = match(bytes);
        if (found !== undefined) end(() => resolve(found));
      } catch (error) {
        end(() => reject(error));
      }
    };
    signal.addEventListener('abort', giveUp);
    const stop = listen(hear, giveUp);
    if (isDone) stop();
    else close = stop;
  });
}

type Match = (bytes: Uint8Array) => Matched | undefined;

function askByUdp(
  fd: number,
  sent: Uint8Array,
  peer: Address,
  match: Match,
  options: AskOptions,
): Promise<Matched | undefined> {
  return firstOf(options, match, (hear, giveUp) => {
    const socket = createSocket(peer.family === 4 ? 'udp4' : 'udp6');
    socket.on('message', hear);
    // An ICMP error: nobody is there.
    socket.on('error', giveUp);
    socket.bind({ fd });
    try {
      sendOn(fd, sent);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      queueMicrotask(giveUp);
    }
    return () => socket.close();
  });
}

function askByTcp(fd: number, sent: Uint8Array, match: Match, options: AskOptions): Promise<Matched | undefined> {
  return firstOf(options, match, (hear, giveUp) => {
    const stream = new DnsStream(hear);
    const socket = new Socket({ fd, readable: true, writable: true });
    socket.on('data', (chunk) => stream.take(chunk));
    socket.on('error', giveUp);
    socket.on('close', giveUp);
    socket.write(dnsFrame(sent));
    return () => socket.destroy();
  });
}
