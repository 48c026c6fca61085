/**
 * Ends connections that are to leave their uplink, so that their programs connect again at once: the socket, and what conntrack
 * remembers. Not more of them at once than programs can take, whatever the uplinks do.
 */
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { readMark } from '../plan/flow-mark.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Warning } from './health.ts';
import { endFlow, forgetFlow, isConnection } from './live-flows.ts';

/** Each is a few system calls, and a program that connects again. */
export const MOVED_PER_SECOND = 500;
/** Of one look: tens of milliseconds, after which what has happened to the uplinks meanwhile comes first. */
export const MOVED_AT_ONCE = 100;
export interface Moved {
  readonly ended: number;
  /** So many have to wait for the next look. */
  readonly left: number;
}

export class MovedFlows {
  readonly #kernel: Pick<Kernel, 'connections' | 'conntrack'>;
  readonly #monotonicMs: () => number;
  #allowance = MOVED_AT_ONCE;
  #countedMs = 0;
  #refusal: KernelError | undefined;

  constructor(kernel: Pick<Kernel, 'connections' | 'conntrack'>, monotonicMs: () => number = () => performance.now()) {
    this.#kernel = kernel;
    this.#monotonicMs = monotonicMs;
  }

  /** That the kernel does not end sockets, since it was last asked to. */
  get warning(): Warning | undefined {
    if (this.#refusal === undefined) return undefined;
    return {
      message: `the kernel does not end connections that are to change over: ${this.#refusal.message}`,
      hint: 'they are reset when they send something next; CONFIG_INET_DIAG_DESTROY is what is missing',
    };
  }

  /** As many as may be now. Throws KernelError where conntrack refuses. */
  move(entries: readonly ConntrackEntry[], uplinks: readonly UplinkState[]): Moved {
    const now = entries.slice(0, this.#take(entries.length));
    for (const entry of now) this.#end(entry, uplinks);
    return { ended: now.length, left: entries.length - now.length };
  }

  #take(count: number): number {
    const nowMs = this.#monotonicMs();
    const grown = ((nowMs - this.#countedMs) * MOVED_PER_SECOND) / 1000;
    this.#countedMs = nowMs;
    this.#allowance = Math.min(MOVED_AT_ONCE, this.#allowance + grown);
    const taken = Math.min(count, Math.floor(this.#allowance));
    this.#allowance -= taken;
    return taken;
  }

  /**
   * The socket first: the reset that it sends is still one of this flow. A connection's entry stays for the seconds that it has left,
   * so that what the kernel answers to late segments is told from the answers of servers, and goes nowhere; where the socket
   * cannot be had (a container's, or the kernel refuses), it has the next packet reset. Datagrams are decided anew.
   */
  #end(entry: ConntrackEntry, uplinks: readonly UplinkState[]): void {
    this.#abort(entry, uplinks);
    if (isConnection(entry.original)) endFlow(this.#kernel.conntrack, entry);
    else forgetFlow(this.#kernel.conntrack, entry);
  }

  #abort({ original, mark }: ConntrackEntry, uplinks: readonly UplinkState[]): void {
    const { way } = readMark(mark);
    const deviceIndex = uplinks.find(({ id }) => id === way)?.deviceIndex;
    try {
      const isAborted = this.#kernel.connections.abort({
        ...original,
        ...(deviceIndex !== undefined && { deviceIndex }),
      });
      if (isAborted) this.#refusal = undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#refusal = error;
    }
  }
}
