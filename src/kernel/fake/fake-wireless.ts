import type { Wireless } from '../kernel.ts';

export class FakeWireless implements Wireless {
  #ssids: ReadonlyMap<number, string> = new Map();

  /** The networks that devices are in, by the device's index. */
  setSsids(ssids: ReadonlyMap<number, string>): void {
    this.#ssids = ssids;
  }

  ssids(): ReadonlyMap<number, string> {
    return this.#ssids;
  }
}
