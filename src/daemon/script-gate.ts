/**
 * Answers whoever opens a listed script, and binds the process to the script's program before it goes on, if it is an
 * interpreter that starts it: then its first socket is already known. For the thread that waits in poll(2); `script-watch.ts`
 * is the other half, which chooses the files.
 *
 * Everybody is let through, whatever goes wrong here: this tells who somebody is and forbids nothing. While no answer comes,
 * openers stand still. So:
 * - This thread must never open a listed file, nor wait for a thread that may (stat(2) and O_PATH are no opening), nor read what is in one.
 * - A thread that hangs is helped by `ScriptWatch.release()` from another one, within MAX_HELD_MS of its last sign of life.
 * - If the daemon is killed, the kernel closes the group: all go on, and scripts are not bound until it is there again. Those
 *   started meanwhile are found when `ScriptWatch.watch()` looks at all processes.
 * - If it is stopped (SIGSTOP, a debugger), starts of listed scripts wait until it continues, as does everything it decides.
 *
 * Not seen: a script given on the standard input (`sh < x.sh`: a shell opened it as data and the interpreter has no name of
 * it), `source x.sh` and imports (another main program runs), a script without `#!` line that bash runs in its own process,
 * programs of Wine (its server opens them for all), another interpreter's child that was forked, not started.
 */
import { asScript, type StartedProgram } from '../bpf/task-state.ts';
import { outermostScript } from '../identify/script-chain.ts';
import { ScriptFiles } from '../identify/script-files.ts';
import { type OpenerProc, scriptStart } from '../identify/script-start.ts';
import { FanotifyGroup } from '../kernel/fanotify.ts';
import type { FanotifyEvent } from '../kernel/fanotify-event.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { openProc } from '../kernel/proc.ts';
import { SHEBANG_LIMIT_BYTES } from '../kernel/shebang.ts';
import type { SharedSocketMarks, TaskProgram } from '../kernel/socket-marks.ts';
import { InterpreterMarks, type OpenedFile } from './interpreter-marks.ts';

/** So long a script's start may be held by a thread that does not answer. */
export const MAX_HELD_MS = 1000;
/** Openers that are answered before others than scripts have their turn. */
export const EVENTS_A_TURN = 256;

/** A replacement that was opened under another name is known so soon after it was renamed. */
const MISSED_MS = 2;

/** `taskOf`: where processes inherit from those that start them. */
export type TaskBinder = Pick<SharedSocketMarks, 'bindTask'> & Partial<Pick<SharedSocketMarks, 'taskOf'>>;

export type ScriptUnbinder = TaskBinder & Pick<SharedSocketMarks, 'unbindTask'>;

export type ScriptProgram = StartedProgram;

export interface ScriptGateOptions {
  /** `ScriptWatch.fd`. */
  readonly fd: number;
  readonly binder: TaskBinder;
  readonly proc?: OpenerProc;
  readonly ownPid?: number;
}

export interface ScriptGateCounts {
  readonly answered: number;
  readonly bound: number;
  /** Openers that could not be looked at, or not be bound. They went on. */
  readonly failed: number;
  /** Times that the kernel let openers through without asking, for want of memory. */
  readonly overflows: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class ScriptGate {
  readonly #group: FanotifyGroup;
  readonly #binder: TaskBinder;
  readonly #proc: OpenerProc;
  readonly #ownPid: number;
  readonly #counts: Mutable<ScriptGateCounts> = { answered: 0, bound: 0, failed: 0, overflows: 0 };
  #listed: ReadonlyMap<string, ScriptProgram> = new Map();
  #files = new ScriptFiles([]);
  /** Scripts that interpret listed ones: marked as well, and opened by the kernel on the way to the last one of them. */
  readonly #interpreters: InterpreterMarks;
  #lastFailure: unknown;

  constructor({ fd, binder, proc = openProc(), ownPid = process.pid }: ScriptGateOptions) {
    this.#group = FanotifyGroup.borrow(fd);
    this.#interpreters = new InterpreterMarks({ group: this.#group });
    this.#binder = binder;
    this.#proc = proc;
    this.#ownPid = ownPid;
  }

  /** Readable when there is something to answer. */
  get fd(): number {
    return this.#group.fd;
  }

  get counts(): ScriptGateCounts {
    return { ...this.#counts };
  }

  /** Of `counts.failed` the latest. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Programs by the absolute paths of their scripts: to be given before the files are marked. */
  publish(listed: ReadonlyMap<string, ScriptProgram>): void {
    this.#listed = listed;
    this.#files = new ScriptFiles(listed.keys(), { missedMs: MISSED_MS });
  }

  /** Answers who asks by now, EVENTS_A_TURN and a few at most, and never waits. A throw (KernelError): nothing can be read. */
  turn(): void {
    for (let answered = 0; answered < EVENTS_A_TURN; ) {
      const events = this.#group.read();
      if (events.length === 0) return;
      answered += events.length;
      // This process's other threads first: this one might come to wait for them.
      for (const event of events) if (event.pid === this.#ownPid) this.#answer(event);
      for (const event of events) if (event.pid !== this.#ownPid) this.#answer(event);
    }
  }

  #answer(event: FanotifyEvent): void {
    this.#counts.answered += 1;
    if (event.overflow) this.#counts.overflows += 1;
    try {
      if (event.asksPermission && event.pid > 0 && event.pid !== this.#ownPid) this.#bind(event);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#allow(event);
    }
  }

  #allow(event: FanotifyEvent): void {
    try {
      this.#group.allow(event);
    } catch (error) {
      // The others have to be answered all the same.
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#counts.failed += 1;
    this.#lastFailure = error;
  }

  /** Whoever starts it is told all the same where this fails. */
  #follow(opened: OpenedFile): void {
    try {
      this.#interpreters.follow(opened);
    } catch (error) {
      this.#fail(error);
    }
  }

  #outermost(pid: number, main: FileIdentity): string | undefined {
    return outermostScript(main, this.#proc.exactArguments(pid) ?? [], {
      fileAt: (path) => this.#proc.fileAt(pid, path),
      listedPathOf: (file) => this.#files.pathOf(file),
      interprets: (file) => this.#interpreters.interprets(file),
    });
  }

  #bind({ fd, pid }: FanotifyEvent): void {
    const file = fileLooks().statByKernelLink(`/proc/self/fd/${fd}`);
    if (file === undefined) return;
    const path = this.#files.pathOf(file);
    // Read from the event's own descriptor, the only one whose use is not asked of us.
    const start = startOf(fd);
    this.#follow({ fd, pid, file, start, isListed: path !== undefined });
    const startTimeTicks = scriptStart(this.#proc, pid, { file, path: path ?? '', start });
    if (startTimeTicks === undefined) return;
    const program = this.#listed.get(this.#outermost(pid, file) ?? path ?? '');
    if (program === undefined) return;
    bindScript(this.#binder, { pid, startTimeTicks }, program);
    this.#counts.bound += 1;
  }
}

export function bindScript(
  binder: TaskBinder,
  { pid, startTimeTicks }: { readonly pid: number; readonly startTimeTicks: number },
  program: ScriptProgram,
): void {
  const now = asScript(binder.taskOf?.(pid, startTimeTicks), program);
  if (now !== undefined) binder.bindTask(pid, startTimeTicks, now);
}

/** It was bound by mistake: it is what it was, as far as nobody has written anything else since. */
export function unbindScript(
  binder: ScriptUnbinder,
  { pid, startTimeTicks }: { readonly pid: number; readonly startTimeTicks: number },
  { number }: ScriptProgram,
  before: TaskProgram | undefined,
): void {
  const now = binder.taskOf?.(pid, startTimeTicks);
  if (binder.taskOf !== undefined && (now?.script !== true || now.number !== number)) return;
  if (before === undefined) binder.unbindTask(pid);
  else binder.bindTask(pid, startTimeTicks, before);
}

/** By another thread: the file's content may come from where nobody answers, and this one decides about everybody's packets. */
function startOf(fd: number): string | undefined {
  return fileLooks().startOfDescriptor(fd, SHEBANG_LIMIT_BYTES);
}
