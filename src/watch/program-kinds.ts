/**
 * What a file is to execve(2): an executable (ELF) or a script (`#!`).
 *
 * A file is opened once, and again only if it is another one (inode) or was written to (modification time, size). Opening is
 * not free of consequences: a listed script is watched by fanotify(7) permission events of this very process, so an open()
 * waits for an answer of its own.
 */
import { closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs';
import { fileLooks } from '../kernel/file-looks.ts';

export type ProgramKind = 'executable' | 'script';

/** More files are not remembered: those that were looked at first are forgotten first. */
export const MAX_KNOWN_FILES = 100_000;

const ANY_EXECUTE_BIT = 0o111;
/** elf(5) */
const ELF_MAGIC: readonly number[] = [0x7f, 0x45, 0x4c, 0x46];
/** execve(2) */
const SCRIPT_MAGIC: readonly number[] = [0x23, 0x21];

interface Known {
  readonly version: string;
  readonly kind: ProgramKind | undefined;
}

export class ProgramKinds {
  readonly #known = new Map<string, Known>();
  readonly #maxKnown: number;

  constructor(maxKnown: number = MAX_KNOWN_FILES) {
    this.#maxKnown = maxKnown;
  }

  /** Of the file at a path, links followed. `undefined`: none that can be executed, or none that can be read. Never throws. */
  kindOf(path: string): ProgramKind | undefined {
    try {
      const stats = fileLooks().answers(path) ? statSync(path, { throwIfNoEntry: false }) : undefined;
      return stats === undefined ? undefined : this.kindOfFile(path, stats);
    } catch {
      return undefined;
    }
  }

  /** The same for somebody who has looked: `stats` are the path's. */
  kindOfFile(path: string, stats: Stats): ProgramKind | undefined {
    if (!stats.isFile() || (stats.mode & ANY_EXECUTE_BIT) === 0) return undefined;
    const version = `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    const known = this.#known.get(path);
    if (known?.version === version) return known.kind;
    const start = firstBytes(path, ELF_MAGIC.length);
    if (start === undefined) return undefined;
    const kind = kindOfStart(start);
    this.#known.delete(path);
    this.#known.set(path, { version, kind });
    this.#forgetOldest();
    return kind;
  }

  #forgetOldest(): void {
    for (const path of this.#known.keys()) {
      if (this.#known.size <= this.#maxKnown) return;
      this.#known.delete(path);
    }
  }
}

function kindOfStart(start: Uint8Array): ProgramKind | undefined {
  const startsWith = (magic: readonly number[]): boolean => magic.every((byte, i) => start[i] === byte);
  if (startsWith(ELF_MAGIC)) return 'executable';
  return startsWith(SCRIPT_MAGIC) ? 'script' : undefined;
}

/** Of a regular file, for who has asked whether it answers; `undefined` where it cannot be read. */
export function firstBytes(path: string, length: number): Uint8Array | undefined {
  const bytes = new Uint8Array(length);
  try {
    const elsewhere = fileLooks().contentFromElsewhere(path, bytes.length);
    if (elsewhere !== 'here') return elsewhere === 'late' ? undefined : elsewhere.bytes;
    // It may have become a FIFO since it was looked at: no open() waits for a writer here.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
