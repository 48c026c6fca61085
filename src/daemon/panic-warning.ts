/** Whether somebody has pulled the emergency brake. */
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { PANIC_TABLE } from '../plan/reserved.ts';
import type { Health } from './health.ts';

export async function reportPanic(health: Pick<Health, 'report'>, nft: Pick<Kernel['nft'], 'observe'>): Promise<void> {
  try {
    const isClosed = (await nft.observe(PANIC_TABLE)) !== undefined;
    const message = 'everything is closed: pointsman panic closed is in force';
    health.report('panic-closed', isClosed ? { message, hint: 'pointsman panic off ends it' } : undefined);
  } catch (error) {
    // Ignoring it: the next look comes, and enforcement itself reports what it cannot read.
    if (!(error instanceof KernelError)) throw error;
  }
}
