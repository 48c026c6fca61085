/**
 * Marks what interprets a script just before the kernel opens it: while whoever starts the script stands still. So a script is followed by what it says at this
 * moment, whatever was read in it, or in its interpreter, before. What turns out to be no script loses its mark again, until somebody changes it:
 * most interpreters are programs, and nobody should be asked about each of their starts.
 *
 * For the thread that answers. Reads by the descriptors of events alone, as nobody is asked about these.
 */
import { closeSync, readSync } from 'node:fs';
import { BoundedMap } from '../identify/bounded-map.ts';
import { placesOfInterpreter } from '../identify/script-chain.ts';
import type { FanotifyGroup } from '../kernel/fanotify.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { type FileStat, isRegularFile } from '../kernel/file-stat.ts';
import { parseShebang, SHEBANG_LIMIT_BYTES, type Shebang } from '../kernel/shebang.ts';
import { openWithoutAsking } from './open-without-asking.ts';

/** Files of which it is remembered that they interpret scripts, or are no scripts. */
export const MAX_INTERPRETERS_REMEMBERED = 4096;
/** The kernel's clock for changes of files has ticks of 10 ms at most: what was changed twice in one shows the same time. */
export const CHANGE_TICK_MS = 20;

/** What was no script. */
interface NoScript {
  readonly changedNs: bigint;
  /** Since when it is known to have been changed then. */
  readonly sinceMs: number;
  /** It was read so long after its change that the next one will show. */
  readonly isCertain: boolean;
}

export interface InterpreterMarksOptions {
  readonly group: Pick<FanotifyGroup, 'mark' | 'unmark'>;
  readonly monotonicMs?: () => number;
}

export interface OpenedFile {
  readonly fd: number;
  readonly pid: number;
  readonly isListed: boolean;
}

export class InterpreterMarks {
  readonly #group: InterpreterMarksOptions['group'];
  readonly #monotonicMs: () => number;
  /** Scripts that interpret others. */
  readonly #interpreting = new BoundedMap<string, true>(MAX_INTERPRETERS_REMEMBERED);
  /** Marked here, and not known to be a script. */
  readonly #marked = new BoundedMap<string, true>(MAX_INTERPRETERS_REMEMBERED);
  readonly #noScripts = new BoundedMap<string, NoScript>(MAX_INTERPRETERS_REMEMBERED);

  constructor({ group, monotonicMs = () => performance.now() }: InterpreterMarksOptions) {
    this.#group = group;
    this.#monotonicMs = monotonicMs;
  }

  /** Whether it is known to be a script that interprets others. */
  interprets(file: FileIdentity): boolean {
    return this.#interpreting.get(keyOf(file)) === true;
  }

  /** Before whoever opens it goes on. Throws KernelError. */
  follow({ fd, pid, isListed }: OpenedFile): void {
    const file = fileLooks().statByKernelLink(`/proc/self/fd/${fd}`);
    // To read what comes from elsewhere may take any time: of that, the chain is known by `ScriptWatch` alone.
    if (file === undefined || !isRegularFile(file) || fileLooks().comesFromElsewhere(file)) return;
    const key = keyOf(file);
    const start = startOf(fd);
    const isScript = start.startsWith('#!');
    // One that nobody lists was marked since it interprets listed ones, or may come to be listed.
    if (isScript && (!isListed || this.#marked.get(key) === true)) this.#interpreting.set(key, true);
    if (!isScript) this.#interpreting.delete(key);
    // What is empty is being written.
    if (!isScript && start !== '' && !isListed && this.#marked.get(key) === true) this.#forget(key, fd, file);
    const shebang = parseShebang(start);
    if (shebang !== undefined) for (const place of placesFor(pid, shebang)) this.#mark(place);
  }

  #mark(place: string): void {
    const file = fileLooks().stat(place);
    // To be told of the opening of what comes from elsewhere would be to wait for that (`ScriptWatch`).
    if (file === undefined || !isRegularFile(file) || fileLooks().comesFromElsewhere(file)) return;
    const key = keyOf(file);
    const known = this.#noScripts.get(key);
    if (known?.isCertain === true && known.changedNs === file.changedNs) return;
    const fd = openWithoutAsking(place);
    if (fd === undefined) return;
    try {
      this.#group.mark(fd);
      this.#marked.set(key, true);
    } finally {
      closeSync(fd);
    }
  }

  #forget(key: string, fd: number, { changedNs }: FileStat): void {
    const nowMs = this.#monotonicMs();
    const known = this.#noScripts.get(key);
    const sinceMs = known?.changedNs === changedNs ? known.sinceMs : nowMs;
    this.#noScripts.set(key, { changedNs, sinceMs, isCertain: nowMs - sinceMs >= CHANGE_TICK_MS });
    this.#marked.delete(key);
    this.#group.unmark(fd);
  }
}

const keyOf = ({ device, inode }: FileIdentity): string => `${device}:${inode}`;

/** One character for each byte. */
function startOf(fd: number): string {
  const bytes = Buffer.alloc(SHEBANG_LIMIT_BYTES);
  return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
}

/** Where the interpreter is looked for, as seen from here. */
function placesFor(pid: number, shebang: Shebang): readonly string[] {
  const root = seesWhatWeSee(pid) ? '' : `/proc/${pid}/root`;
  return placesOfInterpreter(shebang).map((path) =>
    path.startsWith('/') ? `${root}${path}` : `/proc/${pid}/cwd/${path}`,
  );
}

function seesWhatWeSee(pid: number): boolean {
  return ['root', 'ns/mnt'].every((link) => {
    const [theirs, ours] = [pid, 'self'].map((who) => fileLooks().statByKernelLink(`/proc/${who}/${link}`));
    return theirs !== undefined && theirs.device === ours?.device && theirs.inode === ours.inode;
  });
}
