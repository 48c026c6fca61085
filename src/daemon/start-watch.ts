/**
 * Says at which step a start stands that takes long, and ends one that comes to no end. A thread of its own does it: the first one may be what
 * stands still, as in uv_spawn(), which waits until the tool's program has been opened, whoever is asked before that.
 */
import { Worker } from 'node:worker_threads';
import type { Background } from '../kernel/background.ts';

/** What a start does, one after the other; each is what the start is said to wait for. */
export const START_STEPS = [
  'the daemon that runs, which is to leave',
  'what an earlier daemon has left',
  'the kernel to take the programs that tell who makes a socket (BPF)',
  'nft, which is asked what the kernel can do',
  'NetworkManager',
  'the thread that answers packets',
  'events of the kernel',
  'the relay of DNS queries',
  'the first plan',
  'the first look at the machine',
  'the control socket',
] as const;

export type StartStep = (typeof START_STEPS)[number];

/** After so long at one step it is said, and again after twice as long, and so on. */
export const SLOW_STEP_MS = 10_000;
/** So long a step may take. Tools have two minutes each; a supervisor gives up earlier. */
export const STEP_WITHIN_MS = 300_000;
/** In the place of a step: the start is over. */
export const STARTED = -1;

/** For the thread. */
export interface StartWatchStart {
  /** One i32: the place of the step in START_STEPS, or STARTED. */
  readonly step: SharedArrayBuffer;
  readonly slowMs: number;
  readonly withinMs: number;
  readonly pid: number;
}

export interface StartWatchOptions {
  readonly background: Background;
  readonly slowMs?: number;
  readonly withinMs?: number;
}

export class StartWatch implements Disposable {
  readonly #step = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  constructor({ background, slowMs = SLOW_STEP_MS, withinMs = STEP_WITHIN_MS }: StartWatchOptions) {
    const workerData: StartWatchStart = {
      step: this.#step.buffer as SharedArrayBuffer,
      slowMs,
      withinMs,
      pid: process.pid,
    };
    const worker = new Worker(new URL('./start-watch-thread.js', import.meta.url), { workerData });
    worker.unref();
    // Without it the start goes on as well.
    worker.on('error', background.handler(background.hear));
  }

  /** The start goes on to this. */
  at(step: StartStep): void {
    this.#tell(START_STEPS.indexOf(step));
  }

  [Symbol.dispose](): void {
    this.#tell(STARTED);
  }

  #tell(step: number): void {
    Atomics.store(this.#step, 0, step);
    Atomics.notify(this.#step, 0);
  }
}
