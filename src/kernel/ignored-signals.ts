/**
 * Signals whose default would end or stop the daemon, and with it everything that waits for its answer, for a reason that is none:
 * a key typed by mistake, a timer, a script that means another program. SIG_IGN and not a handler: a write to a terminal that
 * a handler interrupts begins anew for ever (SIGTTOU).
 */
import os from 'node:os';
import { libc } from './libc.ts';

const { signals } = os.constants;
/** `SIG_IGN`, signal.h */
const SIG_IGN = 1;
/** signal(7): 32 and 33 belong to the C library. */
const FIRST_REALTIME = 34;
const LAST_REALTIME = 64;

const NAMES = [
  'SIGALRM',
  'SIGIO',
  'SIGPIPE',
  'SIGPROF',
  'SIGPWR',
  'SIGSTKFLT',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR2',
  'SIGVTALRM',
  'SIGXCPU',
  'SIGXFSZ',
] as const;

/** What is left: to stop and to reload, what only says something (SIGCHLD, SIGWINCH, ...), and faults of the process itself. */
export function ignoreSignals(): void {
  for (const name of NAMES) libc().signal(signals[name], SIG_IGN);
  for (let signal = FIRST_REALTIME; signal <= LAST_REALTIME; signal += 1) libc().signal(signal, SIG_IGN);
}
