/** Whether there is a way through the lab's tunnel, from the signs of life of its other end. */
export class TunnelHealth {
  #heardAtMs: number = Number.NEGATIVE_INFINITY;
  #farIsUp = false;
  #hasCarrier = false;

  /** The other end answered, and says whether its own device is up. Times are of one monotonic clock. */
  heard(nowMs: number, farIsUp: boolean): void {
    this.#heardAtMs = nowMs;
    this.#farIsUp = farIsUp;
  }

  /** The carrier that the device should have from now on; undefined where that is no news. */
  change(nowMs: number, underlayHasCarrier: boolean): boolean | undefined {
    // What was heard before the underlay went says nothing about the one that comes back.
    if (!underlayHasCarrier) this.#heardAtMs = Number.NEGATIVE_INFINITY;
    const carrier = underlayHasCarrier && this.#farIsUp && nowMs - this.#heardAtMs < SILENCE_MS;
    if (carrier === this.#hasCarrier) return undefined;
    this.#hasCarrier = carrier;
    return carrier;
  }
}

/** A machine that is busy, or a link that loses a third of everything, is not taken for one that is gone. */
export const SILENCE_MS = 3000;
