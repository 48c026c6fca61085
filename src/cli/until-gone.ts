import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../api/status.ts';
import { CliError } from './cli-error.ts';
import { type DaemonClient, isNotRunning } from './client.ts';
import { EXIT } from './exit-code.ts';

const POLL_MS = 50;
/** Removing the largest rulesets takes seconds. */
const STOP_TIMEOUT_MS = 60_000;

/** Resolves when the daemon has ended: the socket is the last thing that it gives up. Throws CliError with `hint`. */
export async function untilGone(client: DaemonClient, hint: string): Promise<void> {
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    try {
      await client.get<Status>('/v1/status');
    } catch (error) {
      if (isNotRunning(error)) return;
      if (!(error instanceof CliError) || error.exitCode !== EXIT.failed) throw error;
    }
    await delay(POLL_MS);
  }
  throw new CliError(EXIT.failed, `the daemon has not stopped within ${STOP_TIMEOUT_MS / 1000} s`, { hint });
}
