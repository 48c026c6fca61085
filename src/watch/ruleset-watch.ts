import type { Generation } from '../netlink/nftables.ts';

/**
 * Tells somebody else's changes of nftables from ours. The kernel numbers all commits; a change of ours is read back
 * together with the number at which it was right, so whatever has a later one is not ours, or undoes it.
 */
export class RulesetWatch {
  readonly #onForeign: (by: Generation, isOurs: boolean) => void;
  #known: number;
  #changing = false;
  #held: { readonly by: Generation; readonly isOurs: boolean } | undefined;

  constructor(generation: number, onForeign: (by: Generation, isOurs: boolean) => void) {
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
    if (held !== undefined) this.hear(held.by, held.isOurs);
  }

  /** `isOurs`: something changed where rules of ours are. While we change that ourselves, nobody knows whether somebody else did, too. */
  hear(by: Generation, isOurs: boolean): void {
    if (!isLater(by.generation, this.#known)) return;
    if (this.#changing) {
      this.#held = { by, isOurs: isOurs || this.#held?.isOurs === true };
      return;
    }
    this.#known = by.generation;
    this.#onForeign(by, isOurs);
  }
}

/** 32 bits that wrap around (RFC 1982). */
function isLater(generation: number, than: number): boolean {
  return ((generation - than) | 0) > 0;
}
