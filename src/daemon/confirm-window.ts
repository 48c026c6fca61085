import type { Background } from '../kernel/background.ts';
import type { MonotonicMs } from '../net/clock.ts';

/** A change that waits for a person's word: without it, it is taken back. */
export class ConfirmWindow implements Disposable {
  readonly #background: Background;
  #timer: NodeJS.Timeout | undefined;
  #endsMs: MonotonicMs | undefined;

  constructor(background: Background) {
    this.#background = background;
  }

  /** When the current one ends; undefined where nothing waits. */
  get endsMs(): MonotonicMs | undefined {
    return this.#endsMs;
  }

  /** A later window takes the place of an earlier one. */
  open(nowMs: MonotonicMs, confirmMs: number, takeBack: () => void): void {
    clearTimeout(this.#timer);
    this.#endsMs = nowMs + confirmMs;
    this.#timer = this.#background.timeout(() => {
      this.#endsMs = undefined;
      takeBack();
    }, confirmMs);
  }

  /** False where nothing waited. */
  confirm(): boolean {
    const waited = this.#endsMs !== undefined;
    clearTimeout(this.#timer);
    this.#endsMs = undefined;
    return waited;
  }

  [Symbol.dispose](): void {
    this.confirm();
  }
}
