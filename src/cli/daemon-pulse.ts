/** Whether a daemon that was asked something is still there to answer: one that is stopped, or hangs, keeps nobody waiting. */
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { holderOfName } from '../kernel/instance-name.ts';
import { isStopped } from '../kernel/stopped-process.ts';

/** Most answers are there by then. */
const FIRST_LOOK_MS = 1000;
/** A daemon that is busy with the largest ruleset answers in less. */
export const SILENT_MS = 10_000;

export interface Silence {
  readonly pid: number | undefined;
  /** By a signal or a debugger. */
  readonly stopped: boolean;
  /** It has said nothing for so long; absent where that is not why. */
  readonly forMs?: number;
}

export interface PulseOptions {
  readonly silentMs: number;
  readonly everyMs?: number;
  /** Nobody waits any more. */
  readonly signal: AbortSignal;
}

/** Resolves when the daemon of this socket is stopped, or has not answered the simplest question for `silentMs`; undefined once nobody waits. */
export async function untilSilent(
  socketPath: string,
  { silentMs, everyMs = FIRST_LOOK_MS, signal }: PulseOptions,
): Promise<Silence | undefined> {
  for (;;) {
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return undefined;
    // Of its socket: another network namespace may have another daemon.
    const pid = (await holderOfName(socketPath))?.pid;
    if (pid !== undefined && isStopped(pid)) return { pid, stopped: true };
    if ((await answers(socketPath, silentMs, signal)) === false && !signal.aborted)
      return { pid, stopped: pid !== undefined && isStopped(pid), forMs: silentMs };
  }
}

/** Its socket takes no more questions: those who asked before it have given up, and it has not noticed. */
export async function silenceOfFullSocket(): Promise<Silence> {
  const pid = (await holderOfName())?.pid;
  return { pid, stopped: pid !== undefined && isStopped(pid) };
}

/** Whatever it says, it says something; where nobody listens any more, whoever waits finds that out. */
function answers(socketPath: string, silentMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = http.get({ socketPath, path: '/v1/health', headers: { host: 'pointsman' }, signal, agent: false });
    asked.setTimeout(silentMs, () => {
      resolve(false);
      asked.destroy();
    });
    asked.once('response', (answer) => {
      answer.resume();
      resolve(true);
    });
    asked.on('error', () => resolve(true));
  });
}
