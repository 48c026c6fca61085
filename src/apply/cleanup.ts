import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { withBits } from '../net/mark.ts';
import { CHECK_TABLE, MARK_APP, MARK_OURS, MARK_WAY, TABLE } from '../plan/reserved.ts';

const OUR_BITS = withBits(MARK_WAY | MARK_APP, MARK_OURS, MARK_OURS);

/**
 * Removes all that carries a name or number of ours, whoever left it there; the panic table alone stays, because only the
 * person who closed everything opens it again. The table goes first, so that nothing marks packets for routes that are
 * about to go. Goes on past failures; throws an AggregateError of KernelErrors. Done twice,
 * the second time finds nothing.
 */
export async function removeEverything(kernel: Kernel): Promise<void> {
  const errors: KernelError[] = [];
  const attempt = async (step: () => Promise<void> | void): Promise<void> => {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      errors.push(error);
    }
  };
  await attempt(() => deleteTable(kernel, TABLE));
  await attempt(() => deleteTable(kernel, CHECK_TABLE));
  // Nobody knows the numbers any more that sockets are marked with.
  await attempt(() => kernel.keptPrograms.remove());
  await attempt(() => kernel.xtables.deleteQueues());
  await attempt(async () => {
    for (const rule of kernel.routing.ownRules()) await attempt(() => kernel.routing.deleteRule(rule));
  });
  await attempt(async () => {
    for (const route of kernel.routing.ownRoutes()) await attempt(() => kernel.routing.deleteRoute(route));
  });
  await attempt(() => forgetDecisions(kernel));
  await attempt(() => kernel.keptPrograms.removeOfGoneNamespaces());
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} objects could not be removed`);
}

/** Deletes a table of ours, whether it is there or not. */
export async function deleteTable(kernel: Kernel, table: string): Promise<void> {
  // Nothing in this transaction has an expiry.
  await kernel.nft.apply([{ kind: 'delete table', table }], 0);
}

/** A later daemon must not take marks of this one for its own decisions. Bits of others stay. */
function forgetDecisions({ conntrack }: Kernel): void {
  for (const entry of conntrack.ownEntries()) {
    try {
      conntrack.updateMark(entry, 0, OUR_BITS);
    } catch (error) {
      // Ignoring entries that have ended meanwhile.
      if (!(error instanceof KernelError && error.isNotFound)) throw error;
    }
  }
}
