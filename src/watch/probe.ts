/** What all kinds of probes have in common. */
import { constants } from 'node:os';
import { errnoName } from '../kernel/errno.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { ProbeSocket, type ProbeSocketKind } from '../kernel/probe-socket.ts';
import type { Address } from '../net/address.ts';
import type { SocketReadiness } from './socket-readiness.ts';

/** The way that a probe takes. `source`: an address of the uplink's, of the target's family. */
export interface ProbeWay {
  readonly source: Address;
  readonly deviceIndex: number;
  readonly mark: number;
}

export interface ProbeContext {
  readonly way: ProbeWay;
  readonly readiness: SocketReadiness;
  readonly timeoutMs: number;
}

/**
 * `answered`: by whatever it was, a refusal included. `lost`: by nobody in time, or somebody on the way said that there is no way.
 * `not sent`: nothing left this machine, so nothing is said about the uplink.
 */
export type ProbeOutcome =
  | { readonly kind: 'answered'; readonly rttMs: number; readonly captivePortal?: boolean }
  | { readonly kind: 'lost' }
  | { readonly kind: 'not sent'; readonly because: string };

export const LOST: ProbeOutcome = { kind: 'lost' };

const { EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, EINTR } = constants.errno;
/** EHOSTUNREACH: no neighbour, or a router's ICMP. ENETUNREACH the same, except where it is told before anything was sent. */
const FROM_THE_WAY: readonly number[] = [EHOSTUNREACH, ENETUNREACH, ETIMEDOUT];
const FROM_THE_TARGET: readonly number[] = [ECONNREFUSED, ECONNRESET];

export const isNotYet = (errno: number): boolean => errno === EAGAIN || errno === EINTR;

/** A refusal while nothing has left yet: this machine has no way, or no right. Cached news of the neighbour's absence are news. */
export function refusedAtOnce(errno: number): ProbeOutcome {
  return errno === EHOSTUNREACH ? LOST : { kind: 'not sent', because: errnoName(errno) };
}

/** What a positive errno of a socket that has sent something says. */
export function outcomeOfError(errno: number, rttMs: number): ProbeOutcome {
  if (FROM_THE_TARGET.includes(errno)) return { kind: 'answered', rttMs };
  return FROM_THE_WAY.includes(errno) ? LOST : { kind: 'not sent', because: errnoName(errno) };
}

/** Opens a socket, hands it on, and closes it, whatever happens. Rejects with nothing but mistakes of our own. */
export async function withProbeSocket(
  kind: ProbeSocketKind,
  { way: { source, mark } }: ProbeContext,
  ask: (socket: ProbeSocket) => Promise<ProbeOutcome>,
): Promise<ProbeOutcome> {
  try {
    using socket = ProbeSocket.open({ kind, source, mark });
    return await ask(socket);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { kind: 'not sent', because: error.message };
  }
}

/**
 * Sends one datagram to a connected socket's peer and reads until something is the answer. A late reply to somebody else's probe is
 * none.
 */
export async function askOnce(
  socket: ProbeSocket,
  question: Uint8Array,
  isAnswer: (bytes: Uint8Array) => boolean,
  { readiness, timeoutMs }: ProbeContext,
): Promise<ProbeOutcome> {
  const sentAtMs = performance.now();
  const sentOnClockMs = Date.now();
  const sent = socket.send(question);
  if (sent < 0) return refusedAtOnce(-sent);
  const buffer = new Uint8Array(MAX_ANSWER_BYTES);
  for (let late = 0; late < MAX_LATE_READS; ) {
    const leftMs = sentAtMs + timeoutMs - performance.now();
    // Also where the time is over: a daemon that was busy finds it over and the answer here.
    if (!(await readiness.until(socket.fd, 'readable', leftMs))) late += 1;
    const received = socket.receiveInto(buffer);
    const rttMs = measured(performance.now() - sentAtMs, sentOnClockMs, socket.lastArrivalMs());
    if (received >= 0 && isAnswer(buffer.subarray(0, received))) return { kind: 'answered', rttMs };
    if (received < 0 && !isNotYet(-received)) return outcomeOfError(-received, rttMs);
    if (received < 0 && late > 0) break;
  }
  return LOST;
}

/**
 * By the kernel's note of the arrival, so that it does not count how late the daemon looks. Less exact where that is no matter, and of
 * no use where the clock was set back meanwhile.
 */
function measured(elapsedMs: number, sentMs: number, arrivedMs: number | undefined): number {
  return arrivedMs === undefined || arrivedMs < sentMs ? elapsedMs : Math.min(elapsedMs, arrivedMs - sentMs);
}

/** More of an answer does not matter. */
const MAX_ANSWER_BYTES = 1500;
/** A raw socket hears others' answers too, but a few. */
const MAX_LATE_READS = 16;
