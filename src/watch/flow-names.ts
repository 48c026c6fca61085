/** What the numbers in a connection's mark are called where they are no application's and no uplink's. */
import type { Way } from '../api/traffic-totals.ts';
import {
  APP_DAEMON,
  APP_INBOUND,
  APP_KERNEL,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
} from '../plan/reserved.ts';

/** Of what is in force. */
export interface FlowNumbers {
  readonly apps: ReadonlyMap<string, number>;
  readonly uplinks: ReadonlyMap<string, number>;
}

/** Its probes of uplinks, and what it asks resolvers. */
export const DAEMON_NAME = 'pointsman';

export const NOBODY: ReadonlyMap<number, string> = new Map([
  [APP_NONE, 'no policy'],
  [APP_UNKNOWN, 'unknown programs'],
  [APP_KERNEL, 'the kernel'],
  [APP_DAEMON, DAEMON_NAME],
  [APP_INBOUND, 'no policy'],
  [APP_SERVED, 'user-mode networking'],
]);
export const GONE_APPS = 'applications that have gone';

export const OTHER_WAYS: ReadonlyMap<number, Exclude<Way, 'uplink' | 'unknown'>> = new Map([
  [UPLINK_SYSTEM, 'system'],
  [UPLINK_LOCAL, 'local'],
  [UPLINK_INBOUND, 'inbound'],
  [UPLINK_NONE, 'refused'],
]);

/** For people. */
export const WAY_WORDS: Readonly<Record<Exclude<Way, 'uplink'>, string>> = {
  system: 'the system’s route',
  local: 'direct connection',
  inbound: 'came in',
  refused: 'refused',
  unknown: 'an uplink that has gone',
};

/** Applications first: what the daemon itself sends is no reason to take an uplink for used. */
export const applicationsFirst = (a: { readonly app: string }, b: { readonly app: string }): number =>
  Number(a.app === DAEMON_NAME) - Number(b.app === DAEMON_NAME);
