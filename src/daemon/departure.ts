/** How the daemon goes: who asked for it, and what becomes of what it put into the kernel. */

/** `keep`: for the next daemon, which adopts it. */
export type Leaving = 'keep' | 'remove';

export interface Departed {
  readonly because: string;
  /** Nobody said yes to it: the daemon ends otherwise than well. */
  readonly isUnconfirmed?: true;
  readonly leaving: Leaving;
}

export class Departure {
  readonly #log: (line: string) => void;
  #departed: Departed | undefined;
  #resolve: (departed: Departed) => void = () => undefined;
  /** Resolves when somebody has asked for it: also while the daemon starts, which is let come to its end. */
  readonly asked: Promise<Departed>;

  constructor(log: (line: string) => void) {
    this.#log = log;
    this.asked = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get leaving(): Leaving | undefined {
    return this.#departed?.leaving;
  }

  /** The first one counts, but that whoever wants all removed has it so. */
  ask(because: string, leaving: Leaving, more: Pick<Departed, 'isUnconfirmed'> = {}): void {
    if (this.#departed !== undefined) {
      if (leaving === 'remove') this.#departed = { ...this.#departed, leaving };
      return;
    }
    this.#departed = { because, leaving, ...more };
    this.#log(`pointsman: stopping: ${because}`);
    this.#resolve(this.#departed);
  }
}
