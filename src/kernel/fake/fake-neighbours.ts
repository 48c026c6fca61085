import { formatAddress } from '../../net/address.ts';
import type { Neighbour, NeighbourKey } from '../../netlink/neighbour.ts';
import type { Neighbours } from '../kernel.ts';
import type { FailurePlan } from './failure-plan.ts';

/** Neighbours answer at once, where there are any. */
export class FakeNeighbours implements Neighbours {
  readonly #failures: FailurePlan;
  readonly #table = new Map<string, Neighbour>();
  /** Who answers. */
  readonly #answering = new Map<string, string>();
  readonly #resolved: NeighbourKey[] = [];

  constructor(failures: FailurePlan) {
    this.#failures = failures;
  }

  /** Somebody with this hardware address answers for a neighbour's address from now on, or nobody does; the table stays as it is. */
  answerFor(key: NeighbourKey, hardwareAddress: string | undefined): void {
    if (hardwareAddress === undefined) this.#answering.delete(keyOf(key));
    else this.#answering.set(keyOf(key), hardwareAddress);
  }

  /** What becomes of the table by itself. */
  setEntry(neighbour: Neighbour): void {
    this.#table.set(keyOf(neighbour), neighbour);
  }

  removeEntry(key: NeighbourKey): void {
    this.#table.delete(keyOf(key));
  }

  /** What was asked for so far, oldest first. */
  get resolved(): readonly NeighbourKey[] {
    return this.#resolved;
  }

  find(key: NeighbourKey): Neighbour | undefined {
    this.#failures.check('neighbours');
    return this.#table.get(keyOf(key));
  }

  resolve(key: NeighbourKey): void {
    this.#failures.check('neighbours');
    this.#resolved.push(key);
    const entry = this.find(key);
    if (entry?.isPermanent) return;
    const { address, linkIndex } = key;
    const hardwareAddress = this.#answering.get(keyOf(key));
    const known = hardwareAddress !== undefined && { hardwareAddress, confirmedAgoMs: 0 };
    this.setEntry({ address, linkIndex, isPermanent: false, isStale: false, ...known });
  }
}

const keyOf = ({ linkIndex, address }: NeighbourKey): string => `${linkIndex} ${formatAddress(address)}`;
