/** Whose a connection is by its conntrack mark, as docs/kernel-objects.md tells it. */
import {
  APP_DAEMON,
  APP_INBOUND,
  APP_KERNEL,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  MARK_APP,
  MARK_OURS,
} from '../../src/plan/reserved.ts';
import { NO_POLICY, type Share } from './score/score.ts';

const NO_APPLICATION: ReadonlyMap<number, string> = new Map([
  [APP_NONE, NO_POLICY],
  [APP_UNKNOWN, 'unknown'],
  [APP_KERNEL, 'the kernel'],
  [APP_DAEMON, 'the daemon'],
  [APP_INBOUND, 'inbound'],
  [APP_SERVED, 'user-mode networking'],
]);

/** A connection nobody was asked about: an answer to somebody else's, or one that is not this machine's. */
export const NOT_ASKED = 'not asked';

export function ownerOfMark(mark: number, apps: ReadonlyMap<number, string>): Omit<Share, 'packets'> {
  if ((mark & MARK_OURS) === 0) return { who: NOT_ASKED, isApp: false };
  const number = mark & MARK_APP;
  const app = apps.get(number);
  if (app !== undefined) return { who: app, isApp: true };
  return { who: NO_APPLICATION.get(number) ?? `number ${number}`, isApp: false };
}
