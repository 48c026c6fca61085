/** One looking thread, as who asks sees it. */
import { readFileSync } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';
import { requireDescriptors } from './descriptor-room.ts';
import { libc } from './libc.ts';
import {
  ANSWER_BYTES,
  ANSWERED,
  ASKED,
  LOOK_MEMORY_BYTES,
  type LookAnswer,
  type LookMemory,
  type LookRequest,
  lookMemory,
  PLACE_BYTES,
  putText,
  REQUEST_BYTES,
  THREAD_ID,
  textOf,
} from './look-request.ts';

/** What a thread of Node opens until it runs, with some to spare. Where there are fewer, it is never heard of. */
const START_DESCRIPTORS = 16;
/** So long a thread may take to start on a busy machine. */
const START_WITHIN_MS = 10_000;
/** So long it is waited for while it could run but for the processor: that says nothing about the file. */
const MAX_RUNNABLE_MS = 5000;
const RUNNABLE_STEP_MS = 50;
/** It keeps next to nothing. */
const HEAP_MB = 8;

/** Compiled, also where the sources themselves run: Node starts no thread from those. */
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/kernel/look-worker.js' : './look-worker.js',
  import.meta.url,
);

export class LookThread {
  readonly #memory: LookMemory;

  private constructor(memory: LookMemory) {
    this.#memory = memory;
  }

  /** `undefined` where there can be no more threads. Throws KernelError where descriptors are short. */
  static start(): LookThread | undefined {
    requireDescriptors(START_DESCRIPTORS, 'look at');
    const buffer = new SharedArrayBuffer(LOOK_MEMORY_BYTES);
    try {
      const worker = new Worker(THREAD, {
        workerData: buffer,
        stdout: false,
        stderr: false,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 1 },
      });
      worker.unref();
      // One that ends by itself answers nothing any more, which is a look that comes too late.
      worker.on('error', () => undefined);
    } catch {
      return undefined;
    }
    return new LookThread(lookMemory(buffer));
  }

  /** Only while it has answered all before. */
  ask(request: LookRequest): void {
    const { state, request: place } = this.#memory;
    Atomics.store(state, REQUEST_BYTES, putText(place, JSON.stringify(request)));
    Atomics.store(state, PLACE_BYTES, 0);
    Atomics.add(state, ASKED, 1);
    Atomics.notify(state, ASKED);
  }

  get hasAnswered(): boolean {
    return Atomics.load(this.#memory.state, ANSWERED) === Atomics.load(this.#memory.state, ASKED);
  }

  /** Where it is, one character for each byte. */
  get place(): string {
    return textOf(this.#memory.place, Atomics.load(this.#memory.state, PLACE_BYTES));
  }

  answer(): LookAnswer {
    return JSON.parse(textOf(this.#memory.answer, Atomics.load(this.#memory.state, ANSWER_BYTES))) as LookAnswer;
  }

  /** Whether it answers within this time, less what it waits for a processor. */
  waitFor(timeoutMs: number): boolean {
    if (!this.#waitToStart()) return this.#giveUp();
    if (this.#wait(timeoutMs)) return true;
    for (let waitedMs = 0; waitedMs < MAX_RUNNABLE_MS && this.#isRunnable(); waitedMs += RUNNABLE_STEP_MS)
      if (this.#wait(RUNNABLE_STEP_MS)) return true;
    return this.#giveUp();
  }

  #wait(timeoutMs: number): boolean {
    const { state } = this.#memory;
    const asked = Atomics.load(state, ASKED);
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const answered = Atomics.load(state, ANSWERED);
      if (answered === asked) return true;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(state, ANSWERED, answered, leftMs);
    }
  }

  #waitToStart(): boolean {
    const endMs = performance.now() + START_WITHIN_MS;
    while (Atomics.load(this.#memory.state, THREAD_ID) === 0) {
      if (performance.now() > endMs) return false;
      Atomics.wait(this.#memory.state, ANSWERED, Atomics.load(this.#memory.state, ANSWERED), 1);
      if (this.hasAnswered) return true;
    }
    return true;
  }

  #isRunnable(): boolean {
    try {
      const text = readFileSync(`/proc/self/task/${Atomics.load(this.#memory.state, THREAD_ID)}/stat`, 'latin1');
      return text.slice(text.lastIndexOf(')') + 2).startsWith('R');
    } catch {
      return false;
    }
  }

  /** Node waits for its threads when it ends: for this one that may be for ever. */
  #giveUp(): false {
    endWithoutWaiting();
    return false;
  }
}

/** From now on the process ends without waiting for its threads. Of no effect in other threads than the first. */
export function endWithoutWaiting(): void {
  if (isMainThread && !process.listeners('exit').includes(exitAtOnce)) process.on('exit', exitAtOnce);
}

function exitAtOnce(code: number): void {
  libc()._exit(code);
}
