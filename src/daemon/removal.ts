/** Takes everything of ours out of the kernel, and says what is left of it. */
import { setTimeout as delay } from 'node:timers/promises';
import { removeEverything } from '../apply/cleanup.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { PANIC_TABLE, TABLE } from '../plan/reserved.ts';

/** A change that was under way when the removal began may come after it. It takes a fraction of this. */
const QUIET_LOOKS = 8;
const LOOK_AGAIN_MS = 50;
const MAX_LOOKS = 100;

export interface Removal {
  /** Why something is left; empty where nothing is. */
  readonly failures: readonly string[];
  /** Outlives every daemon: only the person who closed everything opens it again. */
  readonly isPanicClosed: boolean;
}

/** Never rejects for what the kernel refuses. */
export async function remove(kernel: Kernel): Promise<Removal> {
  try {
    await removeEverything(kernel);
    return { failures: [], isPanicClosed: await isThere(kernel, PANIC_TABLE) };
  } catch (error) {
    const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
    return {
      failures: errors.map((each) => (each instanceof Error ? each.message : String(each))),
      isPanicClosed: false,
    };
  }
}

/** While a change may still be under way: until nothing has come back for a while. */
export async function removeForGood(kernel: Kernel): Promise<Removal> {
  let removal = await remove(kernel);
  for (let look = 0, quiet = 0; look < MAX_LOOKS && quiet < QUIET_LOOKS; look += 1) {
    await delay(LOOK_AGAIN_MS);
    quiet = removal.failures.length > 0 || (await isAnythingThere(kernel)) ? 0 : quiet + 1;
    if (quiet === 0) removal = await remove(kernel);
  }
  return removal;
}

async function isAnythingThere(kernel: Kernel): Promise<boolean> {
  if (await isThere(kernel, TABLE)) return true;
  try {
    return kernel.routing.ownRules().length > 0;
  } catch (error) {
    if (error instanceof KernelError) return true;
    throw error;
  }
}

/** Whether somebody has left a table of this name; not where the kernel does not say. */
export async function isThere({ nft }: Pick<Kernel, 'nft'>, table: string): Promise<boolean> {
  try {
    return (await nft.observe(table)) !== undefined;
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}
