/** The main thread's end of the event thread: what happens in the kernel without our doing. */
import { Worker } from 'node:worker_threads';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { EventFd } from '../kernel/event-fd.ts';
import type { KernelError } from '../kernel/kernel-error.ts';
import type { EventThreadStart, FromEventThread, KernelEvent, ToEventThread } from './kernel-event.ts';
import { RulesetWatch } from './ruleset-watch.ts';

/** A thread that does not end by itself in this time is broken off. */
const STOP_TIMEOUT_MS = 2_000;

export interface KernelEventsOptions {
  /** `Nft.generation()` now: what is later is news. */
  readonly generation: number;
  readonly onEvent: (event: KernelEvent) => void;
  /** The thread has ended without being told to: nothing is heard any more. */
  readonly onExit: (error: Error) => void;
  /** Only where this file does not run from beside the thread's. */
  readonly threadUrl?: URL;
}

export class KernelEvents implements AsyncDisposable {
  readonly #options: KernelEventsOptions;
  readonly #wake = EventFd.open();
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #ruleset: RulesetWatch;
  #answers: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;
  #state: 'running' | 'closing' | 'ended' = 'running';

  private constructor(options: KernelEventsOptions) {
    this.#options = options;
    this.#ruleset = new RulesetWatch(options.generation, (by) => options.onEvent({ kind: 'ruleset changed', by }));
    const workerData: EventThreadStart = { wakeFd: this.#wake.fd };
    this.#worker = new Worker(options.threadUrl ?? new URL('./kernel-events-thread.js', import.meta.url), {
      workerData,
    });
    this.#worker.on('message', (message: FromEventThread) => this.#hear(message));
    this.#worker.on('error', (error) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    });
    this.#exited = new Promise((done) => this.#worker.once('exit', (code) => done(this.#end(code))));
  }

  /** Resolves when events are heard. Rejects with KernelError. */
  static async start(options: KernelEventsOptions): Promise<KernelEvents> {
    const events = new KernelEvents(options);
    await events.#answer();
    return events;
  }

  /** Subscribes to new and ended flows and to logged packets, or ends that. Rejects with KernelError: EBUSY. */
  async watchFlows(want: { readonly on: boolean }): Promise<void> {
    this.#say({ kind: 'watch flows', on: want.on });
    await this.#answer();
  }

  /**
   * We change nftables ourselves from now on: until `endChange` nothing is taken for somebody else's.
   * Changes do not overlap.
   */
  beginChange(): void {
    this.#ruleset.beginChange();
  }

  /** `generation`: at which the result was seen to be right (`ApplyReport.generation`). What came later is news. */
  endChange(generation: number): void {
    this.#ruleset.endChange(generation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'closing';
    this.#say({ kind: 'stop' });
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** The thread answers in order. */
  #answer(): Promise<void> {
    if (this.#state === 'ended') return Promise.reject(this.#failure ?? new Error('the event thread has ended'));
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  }

  #say(message: ToEventThread): void {
    if (this.#state === 'ended') return;
    this.#worker.postMessage(message);
    this.#wake.signal();
  }

  #hear(message: FromEventThread): void {
    switch (message.kind) {
      case 'ready':
      case 'watching flows':
        this.#answers.shift()?.resolve();
        break;
      case 'refused':
        this.#refuse(kernelErrorFromErrno(message.operation, message.errno, message.object), message.fatal);
        break;
      case 'ruleset changed':
        this.#ruleset.hear(message.by);
        break;
      case 'network changed':
      case 'flows':
      case 'logged':
      case 'resynchronise':
        if (this.#state === 'running') this.#options.onEvent(message);
        break;
    }
  }

  #refuse(error: KernelError, fatal: boolean): void {
    if (fatal) this.#failure = error;
    else this.#answers.shift()?.reject(error);
  }

  #end(code: number): void {
    const wasRunning = this.#state === 'running';
    this.#state = 'ended';
    this.#wake[Symbol.dispose]();
    const error = this.#failure ?? new Error(`the event thread ended with code ${code}`);
    const answers = this.#answers;
    this.#answers = [];
    for (const { reject } of answers) reject(error);
    // Whoever waits for an answer has been told.
    if (wasRunning && answers.length === 0) this.#options.onExit(error);
  }
}
