/**
 * Marks what interprets a script just before the kernel opens it: while whoever starts the script stands still. So a script is followed by what it says at this
 * moment, whatever was read in it, or in its interpreter, before. What turns out to be no script loses its mark again, until somebody changes it:
 * most interpreters are programs, and nobody should be asked about each of their starts.
 *
 * For the thread that answers, which opens nothing and reads nothing here. To be told of an opening is to have the kernel open the file on this thread
 * (fanotify(7)), so a mark goes only on what answers by itself, and only by the mounts of this machine: whoever starts a script may have others in a mount
 * namespace of his own, with whatever he likes at the place of its interpreter.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { BoundedMap } from '../identify/bounded-map.ts';
import { placesOfInterpreter } from '../identify/script-start.ts';
import type { FanotifyGroup } from '../kernel/fanotify.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { type FileStat, isRegularFile } from '../kernel/file-stat.ts';
import { parseShebang, type Shebang } from '../kernel/shebang.ts';

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
  /** As it was before `start` was read. */
  readonly file: FileStat;
  /** Its first bytes; `undefined` where nobody says in time. */
  readonly start: string | undefined;
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
  follow({ fd, pid, file, start, isListed }: OpenedFile): void {
    // Of what comes from elsewhere, the chain is known by `ScriptWatch` alone.
    if (start === undefined || !isRegularFile(file)) return;
    const key = keyOf(file);
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
    const fd = fileLooks().open(place, 'latin1');
    if (fd === undefined) return;
    try {
      const file = fileLooks().statByKernelLink(`/proc/self/fd/${fd}`);
      if (file === undefined || !isRegularFile(file)) return;
      const key = keyOf(file);
      const known = this.#noScripts.get(key);
      if (known?.isCertain === true && known.changedNs === file.changedNs) return;
      if (!fileLooks().isHereNow(file)) return;
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

/** Where the interpreter is looked for, as seen from here; one character for each byte. */
function placesFor(pid: number, shebang: Shebang): readonly string[] {
  return placesOfInterpreter(shebang).flatMap((path) => {
    if (path.startsWith('/')) return path;
    const directory = seesWhatWeSee(pid) ? linkOf(`/proc/${pid}/cwd`) : undefined;
    return directory === undefined ? [] : `${directory}/${path}`;
  });
}

function seesWhatWeSee(pid: number): boolean {
  const namespace = linkOf(`/proc/${pid}/ns/mnt`);
  return namespace !== undefined && namespace === linkOf('/proc/self/ns/mnt') && linkOf(`/proc/${pid}/root`) === '/';
}

/** What the kernel has written there: nothing is looked up. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
