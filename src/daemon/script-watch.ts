/**
 * Which files the script gate is asked about: the listed scripts, each as long as it has its path. A file that replaces one
 * (a package's upgrade, an editor that renames) has to be marked anew, so the directories are watched. One that is written
 * beside it, under a name that contains its name, is marked before it is renamed. Otherwise, between the rename and the mark,
 * a millisecond or two, the gate does not see a start; it is found by the look at all processes that follows, as is everything
 * that was started before.
 *
 * Files whose opening may wait without end (NFS, FUSE) are not marked: the kernel opens a file in the name of whoever asks which file it is, so that the
 * gate would stand still, and with it every other script and packet. Nor are those that a kernel or a file system refuses. They are `unseen`.
 *
 * For a thread with an event loop, and not the one that answers. Whoever is to call `release()` must not open listed files
 * either: it would wait for the very thread that it is there to help.
 */

import { closeSync } from 'node:fs';
import { interpretingScripts } from '../identify/script-chain.ts';
import { MAX_LISTED_SCRIPTS } from '../identify/script-files.ts';
import { scriptOfProcess } from '../identify/script-of-process.ts';
import type { Background } from '../kernel/background.ts';
import { FanotifyGroup } from '../kernel/fanotify.ts';
import { type FileIdentity, fileIdentity } from '../kernel/file-identity.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { isRegularFile } from '../kernel/file-stat.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { openProc, type Proc } from '../kernel/proc.ts';
import { startOfScript } from '../kernel/start-of-script.ts';
import { ScriptDirectories } from './script-directories.ts';
import { bindScript, type ScriptProgram, type ScriptUnbinder, unbindScript } from './script-gate.ts';

/** Processes that are looked at for scripts that run already. */
export const MAX_PROCESSES_LOOKED_AT = 65_536;
/** What no directory tells (a mount, a link changed further up) is found by then. */
export const RECHECK_MS = 2000;
/** However busy the directories are. A look at what has changed takes a fraction of this. */
const MIN_BETWEEN_LOOKS_MS = 2;
/** Of the time, one part in so many at most goes into looking at all processes: that takes milliseconds. */
const SHARE_OF_PROCESSES = 5;
/** Files that may be about to replace a script, marked beforehand in RECHECK_MS at most. */
const MAX_CANDIDATES = 256;

const ELSEWHERE = 'its file system answers from elsewhere, and may not do so';

/** `file`: its device and inode. */
type Marking =
  | { readonly kind: 'marked'; readonly file: string }
  | { readonly kind: 'unseen'; readonly because: string }
  /** Nothing is there that anybody could run. */
  | { readonly kind: 'none' };

export interface ScriptWatchOptions {
  readonly background: Background;
  readonly binder: ScriptUnbinder;
  /** What failed while nobody had called; it is tried again after RECHECK_MS. */
  readonly onError: (error: KernelError) => void;
  readonly proc?: Proc;
}

export class ScriptWatch implements Disposable {
  readonly #binder: ScriptWatchOptions['binder'];
  readonly #onError: (error: KernelError) => void;
  readonly #proc: Proc;
  readonly #group: FanotifyGroup;
  readonly #background: Background;
  readonly #directories: ScriptDirectories;
  #listed: ReadonlyMap<string, ScriptProgram> = new Map();
  #paths: ReadonlySet<string> = new Set();
  /** Device and inode of the marked files by their paths. */
  readonly #marked = new Map<string, string>();
  readonly #unseen = new Map<string, string>();
  /** By listed path: scripts that interpret it, which are marked as well. */
  readonly #interpreting = new Map<string, readonly string[]>();
  #isReleased = false;
  readonly #changed = new Set<string>();
  #candidates = 0;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #soon: NodeJS.Timeout | undefined;
  #nextProcessesMs = Number.NEGATIVE_INFINITY;
  #processesSoon: NodeJS.Timeout | undefined;
  readonly #recheck: NodeJS.Timeout;

  private constructor(group: FanotifyGroup, { background, binder, onError, proc = openProc() }: ScriptWatchOptions) {
    this.#background = background;
    const listener = {
      onChange: (paths: ReadonlySet<string>) => this.#lookSoon(paths),
      onCandidate: (path: string) => this.#markCandidate(path),
    };
    this.#directories = new ScriptDirectories(listener, background);
    this.#group = group;
    this.#binder = binder;
    this.#onError = onError;
    this.#proc = proc;
    this.#recheck = background.interval(() => this.#lookForUntold(), RECHECK_MS).unref();
  }

  /** Throws KernelError: without CAP_SYS_ADMIN, or where the kernel has no fanotify permission events. */
  static open(options: ScriptWatchOptions): ScriptWatch {
    return new ScriptWatch(FanotifyGroup.open(), options);
  }

  /** For `ScriptGate` in the thread that answers. Stays the same, also after `release`, until this is disposed of. */
  get fd(): number {
    return this.#group.fd;
  }

  /** Listed scripts whose starts are not seen, and why. */
  get unseen(): ReadonlyMap<string, string> {
    return this.#unseen;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /**
   * Exactly these from now on, by absolute path; missing ones are marked when they appear. The gate has to have them already,
   * or it takes those who start them for anybody. Processes that run one now are bound. After `release` it begins again.
   * Throws KernelError.
   */
  watch(listed: ReadonlyMap<string, ScriptProgram>): void {
    this.#isReleased = false;
    this.#listed = new Map([...listed].slice(0, MAX_LISTED_SCRIPTS));
    this.#paths = new Set(this.#listed.keys());
    for (const path of [...this.#marked.keys()]) if (!this.#paths.has(path)) this.#unmark(path);
    for (const gone of [this.#unseen, this.#interpreting])
      for (const path of [...gone.keys()]) if (!this.#paths.has(path)) gone.delete(path);
    this.#directories.watch(new Set([...this.#paths, ...this.#chains()]));
    for (const path of this.#paths) this.#mark(path);
    this.#bindRunning();
  }

  /**
   * Lets everybody go on who waits for the gate, at once, and asks nobody any more until `watch` is called: for when the gate
   * has not been heard of for MAX_HELD_MS. The gate may come back at any time, and finds nothing to do. Throws KernelError.
   */
  release(): void {
    this.#isReleased = true;
    this.#group.release();
    this.#marked.clear();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#recheck);
    clearTimeout(this.#soon);
    clearTimeout(this.#processesSoon);
    this.#directories[Symbol.dispose]();
    this.#group[Symbol.dispose]();
  }

  #lookSoon(paths: Iterable<string>): void {
    for (const path of paths) this.#changed.add(path);
    const waitMs = this.#nextLookMs - performance.now();
    if (waitMs <= 0) this.#look();
    else this.#soon ??= this.#background.timeout(() => this.#look(), waitMs).unref();
  }

  #lookForUntold(): void {
    this.#candidates = 0;
    if (!this.#isReleased) for (const path of this.#chains()) this.#markFile(path);
    const changed = [...this.#paths].filter((path) => this.#marked.get(path) !== keyOf(fileIdentity(path)));
    if (changed.length > 0) this.#lookSoon(changed);
  }

  /** At the paths that may have changed. */
  #look(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const changed = [...this.#changed];
    this.#changed.clear();
    if (this.#isReleased) return;
    // Watched first: what comes between the two is told.
    const chains = this.#chains();
    this.#directories.lookAgain(changed.filter((path) => this.#paths.has(path) || chains.has(path)));
    for (const path of changed) if (chains.has(path)) this.#markFile(path);
    const paths = changed.filter((path) => this.#paths.has(path));
    if (paths.map((path) => this.#mark(path)).includes(true)) this.#lookAtProcessesSoon();
    this.#nextLookMs = performance.now() + MIN_BETWEEN_LOOKS_MS;
  }

  /** The mark stays on when the file is renamed: then nobody starts it unseen. */
  #markCandidate(path: string): void {
    if (this.#isReleased || this.#candidates >= MAX_CANDIDATES) return;
    this.#candidates += 1;
    this.#markFile(path);
  }

  #lookAtProcessesSoon(): void {
    const waitMs = this.#nextProcessesMs - performance.now();
    this.#processesSoon ??= this.#background.timeout(() => this.#lookAtProcesses(), Math.max(0, waitMs)).unref();
  }

  #lookAtProcesses(): void {
    this.#processesSoon = undefined;
    const startMs = performance.now();
    try {
      if (!this.#isReleased) this.#bindRunning();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // They are new again to the next look.
      this.#marked.clear();
      this.#onError(error);
    }
    const nowMs = performance.now();
    this.#nextProcessesMs = nowMs + (nowMs - startMs) * (SHARE_OF_PROCESSES - 1);
  }

  /** Marks what has the path now. True where it has come to have another file. */
  #mark(path: string): boolean {
    const because = whyNotAsked(path);
    if (because !== undefined) {
      this.#unseen.set(path, because);
      this.#interpreting.delete(path);
      this.#marked.delete(path);
      return false;
    }
    if (this.#marked.get(path) !== keyOf(fileIdentity(path))) this.#findInterpreting(path);
    // Before the script itself: whoever reads it would be asked about.
    const before = (this.#interpreting.get(path) ?? []).map((each) => this.#markFile(each));
    // Also one that is known: its mark went if it was away for a while.
    const marked = this.#markFile(path);
    const unseen = [...before, marked].find((each) => each.kind === 'unseen');
    if (unseen === undefined) this.#unseen.delete(path);
    else this.#unseen.set(path, unseen.because);
    const file = marked.kind === 'marked' ? marked.file : undefined;
    const isNew = file !== undefined && this.#marked.get(path) !== file;
    if (file === undefined) this.#marked.delete(path);
    else this.#marked.set(path, file);
    return isNew;
  }

  /** All that interpret listed ones. */
  #chains(): ReadonlySet<string> {
    return new Set([...this.#interpreting.values()].flat());
  }

  /** What is started in place of a script whose interpreter is a script. */
  #findInterpreting(path: string): void {
    const before = this.#chains();
    const chain = interpretingScripts(path, startOfScript);
    if (chain.length === 0) this.#interpreting.delete(path);
    else this.#interpreting.set(path, chain);
    // Watched first: what comes between the two is told.
    this.#directories.lookAgain(chain.filter((each) => !before.has(each)));
  }

  #markFile(path: string): Marking {
    const because = whyNotAsked(path);
    if (because !== undefined) return { kind: 'unseen', because };
    const looks = fileLooks();
    let fd: number | undefined;
    try {
      fd = fileLooks().open(path);
      // One that is there, and cannot be named without waiting for what is on the way to it.
      if (fd === undefined) return looks.answers(path) ? { kind: 'unseen', because: ELSEWHERE } : { kind: 'none' };
      const opened = looks.statByKernelLink(`/proc/self/fd/${fd}`);
      // Of a FIFO or a device nobody runs anything.
      if (opened === undefined || !isRegularFile(opened)) return { kind: 'none' };
      // A link was switched meanwhile, or something was mounted.
      if (!looks.isHereNow(opened)) return { kind: 'unseen', because: ELSEWHERE };
      this.#group.mark(fd);
      return { kind: 'marked', file: `${opened.device}:${opened.inode}` };
    } catch (error) {
      if (error instanceof KernelError) return { kind: 'unseen', because: error.message };
      throw error;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /**
   * Of a file that has lost its path the mark stays until it is deleted or the group ends: those who open it are answered and
   * not bound. Keeping a descriptor to find it by would keep its file system from being unmounted.
   */
  #unmark(path: string): void {
    const file = this.#marked.get(path);
    this.#marked.delete(path);
    // Another listed path may have the same file.
    if ([...this.#marked.values()].includes(file ?? '')) return;
    const fd = fileLooks().open(path);
    if (fd === undefined) return;
    try {
      this.#group.unmark(fd);
    } finally {
      closeSync(fd);
    }
  }

  #bindRunning(): void {
    if (this.#paths.size === 0) return;
    const chains = new Set([...this.#chains()].map((path) => keyOf(fileIdentity(path))));
    const scriptOf = (pid: number): string | undefined =>
      scriptOfProcess(this.#proc, pid, this.#paths, (file) => chains.has(keyOf(file)));
    for (const pid of this.#proc.pids().slice(0, MAX_PROCESSES_LOOKED_AT)) this.#bindRunningProcess(pid, scriptOf);
  }

  #bindRunningProcess(pid: number, scriptOf: (pid: number) => string | undefined): void {
    const path = scriptOf(pid);
    const program = path === undefined ? undefined : this.#listed.get(path);
    const startTimeTicks = program === undefined ? undefined : this.#proc.stat(pid)?.startTimeTicks;
    if (program === undefined || startTimeTicks === undefined) return;
    const before = this.#binder.taskOf?.(pid, startTimeTicks);
    bindScript(this.#binder, { pid, startTimeTicks }, program);
    // It was not standing still: by now it may be another process, or have started another program.
    const isThere = this.#proc.stat(pid)?.startTimeTicks === startTimeTicks;
    if (isThere && scriptOf(pid) === path) return;
    unbindScript(this.#binder, { pid, startTimeTicks }, program, isThere ? before : undefined);
  }
}

/** Why nobody is to be asked when it is opened. */
function whyNotAsked(path: string): string | undefined {
  const looks = fileLooks();
  const stat = looks.stat(path);
  if (stat === undefined) return looks.isLate(path) ? 'its file system does not answer' : undefined;
  return looks.comesFromElsewhere(stat) ? ELSEWHERE : undefined;
}

function keyOf(file: FileIdentity | undefined): string | undefined {
  return file === undefined ? undefined : `${file.device}:${file.inode}`;
}
