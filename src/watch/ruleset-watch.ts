import type { Generation } from '../netlink/nftables.ts';

/**
 * Tells somebody else's changes of nftables from ours. The kernel numbers all commits; a change of ours is read back
 * together with the number at which it was right, so whatever has a later one is not ours, or undoes it.
 */
export class RulesetWatch {
  readonly #onForeign: (by: Generation) => void;
  #known: number;
  #changing = false;
  #held: Generation | undefined;

  constructor(generation: number, onForeign: (by: Generation) => void) {
    this.#known = generation;
    this.#onForeign = onForeign;
  }

  beginChange(): void {
    this.#changing = true;
  }

  endChange(generation: number): void {
    this.#changing = false;
    if (isLater(generation, this.#known)) this.#known = generation;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.hear(held);
  }

  hear(by: Generation): void {
    if (!isLater(by.generation, this.#known)) return;
    if (this.#changing) {
      this.#held = by;
      return;
    }
    this.#known = by.generation;
    this.#onForeign(by);
  }
}

/** 32 bits that wrap around (RFC 1982). */
function isLater(generation: number, than: number): boolean {
  return ((generation - than) | 0) > 0;
}
