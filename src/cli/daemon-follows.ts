import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../api/status.ts';
import type { LinkState } from '../lab/lab-link.ts';
import { type DaemonClient, NoAnswer } from './client.ts';

const FOLLOW_TIMEOUT_MS = 5000;
const POLL_MS = 20;

/**
 * Waits until the daemon takes for up what has a carrier, and for down what has none. False where it does not within five
 * seconds: an uplink may be without a carrier and down for other reasons too; nor does a daemon that does not answer.
 */
export async function daemonFollows(client: DaemonClient, links: readonly LinkState[]): Promise<boolean> {
  const deadlineMs = performance.now() + FOLLOW_TIMEOUT_MS;
  for (;;) {
    const status = await client.get<Status>('/v1/status').catch((error: unknown) => {
      if (error instanceof NoAnswer) return undefined;
      throw error;
    });
    if (status === undefined) return false;
    const { uplinks } = status;
    if (links.every(({ device, carrier }) => uplinks.every((one) => one.device !== device || one.up === carrier))) {
      return true;
    }
    if (performance.now() > deadlineMs) return false;
    await delay(POLL_MS);
  }
}
