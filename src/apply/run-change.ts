import { isDeepStrictEqual } from 'node:util';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import type { XtablesQueue } from '../plan/plan.ts';

/**
 * One step. What is as it should be already is no failure: the kernel itself removes routes by a device that goes down,
 * and so may have been faster. Throws KernelError.
 */
export async function runChange(kernel: Kernel, change: Change, nowMs: MonotonicMs): Promise<void> {
  switch (change.kind) {
    case 'add route':
      kernel.routing.addRoute(change.route);
      break;
    case 'delete route':
      ignoring('isNotFound', () => kernel.routing.deleteRoute(change.route));
      break;
    case 'add rule':
      ignoring('isExists', () => kernel.routing.addRule(change.rule));
      break;
    case 'delete rule':
      ignoring('isNotFound', () => kernel.routing.deleteRule(change.rule));
      break;
    case 'add xtables queue':
      await kernel.xtables.addQueue(change.queue);
      break;
    case 'delete xtables queue':
      await kernel.xtables.deleteQueue(change.queue);
      break;
    case 'set socket ways':
      kernel.sockets?.setWays(change.ways);
      break;
    case 'nft':
      await kernel.nft.apply(change.commands, nowMs);
      break;
  }
}

function ignoring(refusal: 'isNotFound' | 'isExists', step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof KernelError && error[refusal])) throw error;
  }
}

/**
 * Exactly this queue in both families, whatever else of ours is there: halves that a crash left, or an old one and a
 * new one side by side. The wanted one stands before another goes. Throws KernelError.
 */
export async function settleQueues(kernel: Kernel, wanted: XtablesQueue | undefined): Promise<void> {
  if (wanted !== undefined) await kernel.xtables.addQueue(wanted);
  for (const queue of await kernel.xtables.queues()) {
    if (!isDeepStrictEqual(queue, wanted)) await kernel.xtables.deleteQueue(queue);
  }
}

/** Steps on the kernel fail with KernelError alone: anything else is our own mistake, and goes on as it is. */
export function kernelErrorOf(error: unknown): KernelError {
  if (error instanceof KernelError) return error;
  throw error;
}
