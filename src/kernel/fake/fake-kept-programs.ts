import type { KeptPrograms } from '../kernel.ts';
import type { FailurePlan } from './failure-plan.ts';

export class FakeKeptPrograms implements KeptPrograms {
  readonly #failures: FailurePlan;
  #areHere = false;

  constructor(failures: FailurePlan) {
    this.#failures = failures;
  }

  /** As a daemon does while its policies are in force. */
  keep(): void {
    this.#areHere = true;
  }

  areHere(): boolean {
    return this.#areHere;
  }

  remove(): void {
    this.#failures.check('remove pins');
    this.#areHere = false;
  }

  removeOfGoneNamespaces(): void {}
}
