/** Whether so many new connections a second, each asked about, get their answers. */
import { CONNECT_PORT, SERVER_ADDRESS } from './bench-world.ts';
import type { BenchDaemon } from './daemon.ts';
import type { ConnectRound } from './measure-connect.ts';
import { runJson } from './programs.ts';
import { countQueued } from './queue-counts.ts';

export interface SustainedResult {
  readonly name: string;
  readonly connections: number;
  /** Connections that were started, a second. */
  readonly perSecond: number;
  /** From connect(2) to the answer, microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** Packets that the queue took. */
  readonly queued: number;
  /**
   * Dropped by the kernel's queue, answered later than TCP waits before it sends again (1 s), refused, or never answered;
   * seen from outside the daemon.
   */
  readonly lostOrLate: number;
}

export interface SustainedOptions {
  readonly name: string;
  readonly program: string;
  readonly perSecond: number;
  readonly seconds: number;
  /**
   * When the load makes its sockets. `before`: all before the first connects, so before anything can be learned of the
   * program; no socket is marked then. `each`: each when it connects.
   */
  readonly sockets: 'before' | 'each';
}

interface SustainedRun extends ConnectRound {
  readonly perSecond: number;
  readonly late: number;
  readonly unanswered: number;
}

/** Rejects where not every connection was asked about. */
export async function measureSustained(
  { client, queue }: Pick<BenchDaemon, 'client' | 'queue'>,
  { name, program, perSecond, seconds, sockets }: SustainedOptions,
): Promise<SustainedResult> {
  const words = [SERVER_ADDRESS, `${CONNECT_PORT}`, `${perSecond}`, `${seconds}`, sockets];
  const { result, queued } = await countQueued(client, queue, () =>
    runJson<SustainedRun>(client.inside([program, ...words])),
  );
  const connections = perSecond * seconds;
  if (queued.packets + queued.lost < connections) {
    throw new Error(`${name}: ${queued.packets} packets queued for ${connections} connections`);
  }
  const { p50Us, p99Us, failed, late, unanswered } = result;
  // A packet that the kernel dropped shows as one of the others, too: the larger number counts.
  const lostOrLate = Math.max(queued.lost, failed + late + unanswered);
  return { name, connections, perSecond: result.perSecond, p50Us, p99Us, queued: queued.packets, lostOrLate };
}
