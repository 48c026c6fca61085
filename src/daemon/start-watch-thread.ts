/** The thread of StartWatch. It writes to standard error by itself: whoever writes the log may be what stands still. */
import { readFileSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { libc } from '../kernel/libc.ts';
import { journalLine } from './journal-line.ts';
import { START_EXIT } from './start-error.ts';
import { START_STEPS, STARTED, type StartWatchStart } from './start-watch.ts';

const STDERR = 2;
/** While the process is stopped (SIGSTOP) no more than this counts. */
const LOOK_MS = 1000;

watch(workerData as StartWatchStart);

function watch({ step, slowMs, withinMs, pid }: StartWatchStart): void {
  const state = new Int32Array(step);
  let at = Atomics.load(state, 0);
  let tookMs = 0;
  let nextMs = slowMs;
  while (at !== STARTED) {
    const beforeMs = performance.now();
    Atomics.wait(state, 0, at, Math.min(LOOK_MS, nextMs));
    tookMs += Math.min(LOOK_MS, performance.now() - beforeMs);
    const now = Atomics.load(state, 0);
    if (now !== at) {
      at = now;
      tookMs = 0;
      nextMs = slowMs;
      continue;
    }
    const waits = `${START_STEPS[at]}, for ${Math.round(tookMs / 1000)} s by now${toolsOf(pid)}`;
    if (tookMs >= withinMs) {
      const left =
        'what it has put into the kernel stays there: pointsman down removes it, the next start takes it over';
      say(`pointsman: the start comes to no end: it waits for ${waits}; ${left}`);
      libc()._exit(START_EXIT.failed);
    }
    if (tookMs < nextMs) continue;
    say(`pointsman: the start waits for ${waits}`);
    nextMs *= 2;
  }
}

function say(text: string): void {
  try {
    writeSync(STDERR, `${journalLine(text)}\n`);
  } catch {
    // Nobody reads it.
  }
}

/** Those that run for the process now, which may be what is waited for. */
function toolsOf(pid: number): string {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    const names = children.split(' ').flatMap((child) => (child === '' ? [] : `${nameOf(child)} (process ${child})`));
    return names.length === 0 ? '' : `; ${names.join(', ')} of it runs`;
  } catch {
    // A kernel that does not list them (CONFIG_PROC_CHILDREN).
    return '';
  }
}

function nameOf(child: string): string {
  try {
    return readFileSync(`/proc/${child}/comm`, 'utf8').trim();
  } catch {
    return 'a tool';
  }
}
