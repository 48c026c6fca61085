/** Whether somebody has pulled the emergency brake. */
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { PANIC_TABLE } from '../plan/reserved.ts';
import type { Health } from './health.ts';

export class PanicLook {
  readonly #nft: Pick<Kernel['nft'], 'observe' | 'generation'>;
  #seen: { readonly generation: number; readonly isClosed: boolean } | undefined;

  constructor(nft: Pick<Kernel['nft'], 'observe' | 'generation'>) {
    this.#nft = nft;
  }

  /** At this moment; the table is only looked for where the ruleset is another one than at the last look. Throws KernelError. */
  async isClosed(): Promise<boolean> {
    const generation = this.#nft.generation();
    if (this.#seen?.generation === generation) return this.#seen.isClosed;
    const isClosed = (await this.#nft.observe(PANIC_TABLE)) !== undefined;
    this.#seen = { generation, isClosed };
    return isClosed;
  }

  async report(health: Pick<Health, 'report'>): Promise<void> {
    try {
      const message = 'everything is closed: "panic closed" is in force';
      health.report(
        'panic-closed',
        (await this.isClosed()) ? { message, hint: 'pointsman panic off ends it' } : undefined,
      );
    } catch (error) {
      // Ignoring it: the next look comes, and enforcement itself reports what it cannot read.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}
