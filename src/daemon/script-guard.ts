/**
 * Keeps the bound on how long a script's start can be held: when the thread that answers has given no sign of life for
 * MAX_HELD_MS, all who wait go on, and nobody is held until it is heard of again.
 */
import type { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { MAX_HELD_MS, type ScriptProgram } from './script-gate.ts';
import type { ScriptWatch } from './script-watch.ts';

/** The answering thread gives a sign at least every half of MAX_HELD_MS. */
const LOOK_MS = MAX_HELD_MS / 4;
const RELEASE_AFTER_MS = MAX_HELD_MS - LOOK_MS;

export interface ScriptGuardParts {
  readonly background: Background;
  readonly watch: Pick<ScriptWatch, 'watch' | 'release'>;
  /** Counts the signs of life of the answering thread. */
  readonly beats: () => number;
  /** At every look that finds a sign of life. */
  readonly onHeard?: () => void;
  /** `undefined`: scripts are told by the kernel again. */
  readonly onChange: (released: string | undefined) => void;
  readonly monotonicMs?: () => number;
}

export class ScriptGuard implements Disposable {
  readonly #parts: ScriptGuardParts;
  readonly #monotonicMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #listed: ReadonlyMap<string, ScriptProgram> = new Map();
  #lastBeat = -1;
  #heardMs: number;
  #released: string | undefined;

  constructor(parts: ScriptGuardParts) {
    this.#parts = parts;
    this.#monotonicMs = parts.monotonicMs ?? (() => performance.now());
    this.#heardMs = this.#monotonicMs();
    this.#timer = parts.background.interval(() => this.look(), LOOK_MS).unref();
  }

  /** Why starts of scripts are not seen now. */
  get released(): string | undefined {
    return this.#released;
  }

  /** The answering thread has to have them already. Throws KernelError. */
  watch(listed: ReadonlyMap<string, ScriptProgram>): void {
    this.#listed = listed;
    if (this.#released === undefined) this.#parts.watch.watch(listed);
  }

  look(): void {
    const nowMs = this.#monotonicMs();
    const beat = this.#parts.beats();
    if (beat !== this.#lastBeat) {
      this.#lastBeat = beat;
      this.#heardMs = nowMs;
      if (this.#released !== undefined) this.#resume();
      this.#parts.onHeard?.();
    }
    // Again and again: before it came to stand still once more, it may have marked what it was about to be asked of.
    else if (this.#mayHold && nowMs - this.#heardMs >= RELEASE_AFTER_MS) this.#release();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Where no script is listed nobody waits. */
  get #mayHold(): boolean {
    return this.#listed.size > 0;
  }

  #release(): void {
    try {
      this.#parts.watch.release();
      this.#set('the thread that decides does not answer');
    } catch (error) {
      // Ignoring it: the next look tries again.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #resume(): void {
    try {
      this.#parts.watch.watch(this.#listed);
      this.#set(undefined);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#set(error.message);
    }
  }

  #set(released: string | undefined): void {
    if (released === this.#released) return;
    this.#released = released;
    this.#parts.onChange(released);
  }
}
