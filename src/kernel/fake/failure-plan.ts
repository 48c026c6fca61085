import type { KernelError } from '../kernel-error.ts';

export type FakeOperation =
  | 'nft apply'
  | 'nft elements'
  | 'nft check'
  | 'nft observe'
  | 'add route'
  | 'delete route'
  | 'add rule'
  | 'delete rule'
  | 'observe routing'
  | 'add xtables queue'
  | 'delete xtables queue'
  | 'remove pins'
  | 'conntrack'
  | 'abort connection'
  | 'neighbours';

/** Refusals that a test has ordered, each given once. */
export class FailurePlan {
  readonly #pending = new Map<FakeOperation, { afterCalls: number; error: KernelError }[]>();

  /** The next call of `operation` throws `error`; with `afterCalls`, the one after so many that succeed. */
  failNext(operation: FakeOperation, error: KernelError, options: { readonly afterCalls?: number } = {}): void {
    const pending = this.#pending.get(operation) ?? [];
    this.#pending.set(operation, [...pending, { afterCalls: options.afterCalls ?? 0, error }]);
  }

  /** Forgets what has not come to pass. */
  clear(): void {
    this.#pending.clear();
  }

  /** Every operation of the fake begins with this. */
  check(operation: FakeOperation): void {
    const [next, ...rest] = this.#pending.get(operation) ?? [];
    if (next === undefined) return;
    if (next.afterCalls > 0) {
      next.afterCalls -= 1;
      return;
    }
    this.#pending.set(operation, rest);
    throw next.error;
  }
}
