/** The emergency brake, and its release: needs no daemon, no files and nothing of ours in the kernel. */
import type { Kernel } from '../kernel/kernel.ts';
import { PANIC_TABLE } from '../plan/reserved.ts';
import { deleteTable, removeEverything } from './cleanup.ts';

/**
 * Nothing passes but loopback and what keeps the link alive, established connections (ssh!) included, until
 * `panicOff` or `panicOpen`. What else is in force stays in force beneath. Throws KernelError.
 */
export async function panicClosed(kernel: Kernel): Promise<void> {
  await kernel.nft.loadPanicTable();
}

/** All of ours goes: everything passes as if we were not installed. Throws AggregateError of KernelErrors. */
export async function panicOpen(kernel: Kernel): Promise<void> {
  await panicOff(kernel);
  await removeEverything(kernel);
}

/** Ends `panicClosed`; whether that was in force. Throws KernelError. */
export async function panicOff(kernel: Kernel): Promise<boolean> {
  const wasClosed = (await kernel.nft.observe(PANIC_TABLE)) !== undefined;
  await deleteTable(kernel, PANIC_TABLE);
  return wasClosed;
}
