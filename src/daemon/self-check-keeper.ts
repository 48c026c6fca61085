/** When the daemon checks itself: a little after its start, every hour, whenever somebody asks; and soon again while there is a difference. */
import type { CheckedTier, SelfCheckReport } from '../api/self-check.ts';
import type { Background } from '../kernel/background.ts';
import { linuxCheckTable } from '../kernel/check-table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { libc } from '../kernel/libc.ts';
import { openMarkedSocket, sendOn } from '../kernel/marked-socket.ts';
import { openProc } from '../kernel/proc.ts';
import type { Clock } from '../net/clock.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import type { Health, Warning } from './health.ts';
import type { InForce } from './in-force.ts';
import { checkSelf, refusalOf } from './self-check.ts';
import { CHECK_PORT, MAX_PROGRAMS, type Question, selfCheckQuestions } from './self-check-questions.ts';

/** The first rounds, of names and of links that come up, are over then. */
const FIRST_MS = 5000;
const EVERY_MS = 3_600_000;
/** A difference, or what changed meanwhile, is looked at again. */
const AGAIN_MS = 60_000;
const MAX_SHOWN = 3;

export interface SelfCheckKeeperParts {
  readonly background: Background;
  readonly kernel: Pick<Kernel, 'nft'>;
  readonly health: Pick<Health, 'report' | 'has'>;
  readonly inForce: () => InForce | undefined;
  readonly clock: Clock;
}

export class SelfCheckKeeper implements Disposable {
  readonly #parts: SelfCheckKeeperParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<SelfCheckReport> | undefined;
  #next: Promise<SelfCheckReport> | undefined;
  #from = 0;
  #isDisposed = false;

  constructor(parts: SelfCheckKeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#checkIn(FIRST_MS);
  }

  /** One at a time. One that is under way tells of what was before: whoever asks meanwhile gets the next, all of them the same. */
  check(): Promise<SelfCheckReport> {
    if (this.#running === undefined) return this.#begin();
    const begin = (): Promise<SelfCheckReport> => {
      this.#next = undefined;
      return this.#running ?? this.#begin();
    };
    this.#next ??= this.#running.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<SelfCheckReport> {
    this.#running = this.#checkTwice().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Resolves when none is under way: its table is empty then. */
  async stop(): Promise<void> {
    this[Symbol.dispose]();
    await this.#next;
    await this.#running;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #checkIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isDisposed) return;
    this.#timer = this.#parts.background.timeout(async () => {
      const { tiers, notDone } = await this.check();
      const isSettled = notDone === undefined && tiers.every(({ outcome }) => outcome !== 'difference');
      this.#checkIn(isSettled ? EVERY_MS : AGAIN_MS);
    }, delayMs);
    this.#timer.unref();
  }

  /** The network may change just then: only what is found twice is told. */
  async #checkTwice(): Promise<SelfCheckReport> {
    const first = await this.#checkOnce();
    const report = differences(first).length === 0 ? first : await this.#checkOnce();
    if (report.notDone === undefined) {
      this.#from += MAX_PROGRAMS;
      this.#parts.health.report('self-check-failed', warningOf(differences(report)));
    }
    return report;
  }

  async #checkOnce(): Promise<SelfCheckReport> {
    const { kernel, health, inForce, clock } = this.#parts;
    const before = inForce();
    if (this.#isDisposed) return { tiers: [], notDone: 'the daemon stops' };
    if (before === undefined) return { tiers: [], notDone: 'nothing is in force' };
    if (health.has('panic-closed')) return { tiers: [], notDone: '"panic closed" is in force' };
    const asking = { inForce: before, own: thisProcess(), nowMs: clock.monotonicMs(), from: this.#from };
    // Until the end: whoever is asked looks for the socket.
    const sockets: number[] = [];
    try {
      const report = await checkSelf(selfCheckQuestions(asking), {
        table: linuxCheckTable,
        generation: () => kernel.nft.generation(),
        send: (question, priority) => sendOne(question, priority, sockets),
        isStopped: () => this.#isDisposed,
      });
      // What was asked about holds no longer.
      return inForce()?.snapshot.revision === before.snapshot.revision
        ? report
        : { tiers: [], notDone: 'policies or the network changed meanwhile' };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return { tiers: [], notDone: error.message };
    } finally {
      for (const fd of sockets) libc().close(fd);
    }
  }
}

const NOTHING = new Uint8Array(1);

/** `sockets`: they are the caller's. */
function sendOne({ mark, destination: peer }: Question, priority: number, sockets: number[]): string | undefined {
  return refusalOf(() => {
    const fd = openMarkedSocket({ kind: 'udp', mark, priority, peer, port: CHECK_PORT });
    sockets.push(fd);
    sendOn(fd, NOTHING);
  });
}

function thisProcess(): ProcessOwner {
  const proc = openProc();
  const { pid } = process;
  const executable = proc.executable(pid);
  const cgroup = proc.cgroup(pid);
  return {
    kind: 'process',
    pid,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    ...(executable !== undefined && { executable }),
    ...(cgroup !== undefined && { cgroup }),
  };
}

const differences = ({ tiers }: SelfCheckReport): readonly CheckedTier[] =>
  tiers.filter(({ outcome }) => outcome === 'difference');

function warningOf(found: readonly CheckedTier[]): Warning | undefined {
  if (found.length === 0) return undefined;
  const shown = found
    .slice(0, MAX_SHOWN)
    .map(
      ({ as, app, destination, found: what }) =>
        `${as}${app === undefined ? '' : ` (${app})`} to ${destination}: ${what}`,
    );
  const more = found.length > MAX_SHOWN ? `; and ${found.length - MAX_SHOWN} more` : '';
  const message = `the kernel does something else than policies say: ${shown.join('; ')}${more}`;
  return {
    message,
    hint: 'who else has rules: nft list ruleset; ip rule; ip -6 rule; sudo pointsman doctor --probe asks again',
  };
}
