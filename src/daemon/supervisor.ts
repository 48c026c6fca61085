/**
 * What a supervisor is told (sd_notify(3)): that policies are in force, and by its watchdog, if it has one, again and again that both threads which
 * anybody waits for are alive. A signal that stops a process stops all of it at once, so nobody within it could end that; the supervisor does.
 */
import type { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { isNotifyAddress, notify } from '../kernel/notify-socket.ts';
import type { Environment } from '../kernel/start-environment.ts';

/** The verdict thread gives a sign of life each half second: for so long, none says nothing. */
const SIGN_WITHIN_MS = 1000;
const SHORTEST_LOOK_MS = 100;
/** A daemon that has thousands of applications may be busy for as long. */
const SHORT_WATCHDOG_MS = 5000;
/** So many looks fit in the time that the supervisor waits. */
const LOOKS_IN_TIME = 3;
const US_PER_MS = 1000;

export interface Supervision {
  /** NOTIFY_SOCKET. */
  readonly address: string;
  /** WATCHDOG_USEC: after so long without a word the process is ended. */
  readonly watchdogMs?: number;
}

/** `undefined`: nobody wants to be told. Of a watchdog that is for another process nothing. */
export function supervisionOf(environment: Environment, pid: number): Supervision | undefined {
  const { NOTIFY_SOCKET: address = '', WATCHDOG_USEC: micros = '', WATCHDOG_PID: of = '' } = environment;
  if (!isNotifyAddress(address)) return undefined;
  const watchdogMs =
    /^[1-9]\d{0,15}$/.test(micros) && (of === '' || of === `${pid}`) ? Number(micros) / US_PER_MS : undefined;
  return { address, ...(watchdogMs !== undefined && { watchdogMs }) };
}

export interface SupervisorParts {
  readonly background: Background;
  readonly supervision: Supervision | undefined;
  /** Counts the signs of life of the thread that answers packets. */
  readonly beats: () => number;
  readonly log: (line: string) => void;
  readonly send?: (address: string, text: string) => void;
}

export class Supervisor implements Disposable {
  readonly #parts: SupervisorParts;
  #timer: NodeJS.Timeout | undefined;
  #lastBeat = -1;
  /** Looks since the last sign, and how many of them say nothing. */
  #silentLooks = 0;
  #patience = 0;
  #hasFailed = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Policies are in force. */
  ready(): void {
    const { background, supervision, log } = this.#parts;
    this.#tell('READY=1\nSTATUS=policies are in force');
    if (supervision?.watchdogMs === undefined) return;
    const { watchdogMs } = supervision;
    if (watchdogMs < SHORT_WATCHDOG_MS)
      log(`pointsman: a watchdog of ${watchdogMs} ms is short, and may end a daemon that is only busy: WatchdogSec=20`);
    const everyMs = Math.max(SHORTEST_LOOK_MS, Math.floor(watchdogMs / LOOKS_IN_TIME));
    this.#patience = Math.ceil(SIGN_WITHIN_MS / everyMs) - 1;
    this.look();
    this.#timer = background.interval(() => this.look(), everyMs);
  }

  /** Nothing is said where the thread has given no sign since the last time, or within a second. */
  look(): void {
    const beat = this.#parts.beats();
    this.#silentLooks = beat === this.#lastBeat ? this.#silentLooks + 1 : 0;
    if (this.#silentLooks > this.#patience) return;
    this.#lastBeat = beat;
    this.#tell('WATCHDOG=1');
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tell(text: string): void {
    const { supervision, log, send = notify } = this.#parts;
    if (supervision === undefined) return;
    try {
      send(supervision.address, text);
      this.#hasFailed = false;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (!this.#hasFailed) log(`pointsman: the supervisor cannot be told: ${error.message}`);
      this.#hasFailed = true;
    }
  }
}
