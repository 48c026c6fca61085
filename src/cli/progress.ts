import type { Terminal } from './terminal.ts';

/** Nobody needs to read about what is over sooner. */
const QUIET_MS = 1000;

/** Waits for `work`, and says on standard error what is waited for where that takes longer than a second. */
export async function withProgress<T>(terminal: Terminal, what: string, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => terminal.err(`${what} ...\n`), QUIET_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
