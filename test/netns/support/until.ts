import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
/** Also on a machine that has eight times too much to do. */
const DEADLINE_MS = 60_000;

/** Asks until the answer is neither undefined nor false, and returns it. Past the deadline it throws with what was awaited. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  let lastError: unknown;
  while (performance.now() < deadlineMs) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await delay(POLL_MS);
  }
  throw new Error(`waited ${DEADLINE_MS} ms in vain for: ${what}`, { cause: lastError });
}
