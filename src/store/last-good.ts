import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { throwShortage } from '../kernel/shortage.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { writeAtomically } from './atomic-write.ts';
import { errorCode, errorText, readSourceFile, type Stamp } from './source-file.ts';

/** A file as it was read. */
export interface ReadFile {
  readonly path: string;
  readonly stamp: Stamp;
  readonly bytes: Uint8Array;
}

/**
 * Copies of one directory's files as they were when they last could be used, for the time when they no longer can.
 * What shall be kept and forgotten is collected first and written by `flush`.
 */
export class LastGood {
  readonly #directory: string;
  readonly #isWritten: boolean;
  /** Without bytes: an earlier flush failed, and a whole directory's bytes are not held until one succeeds. */
  readonly #toKeep = new Map<string, Omit<ReadFile, 'bytes'> & { readonly bytes?: Uint8Array }>();
  readonly #toForget = new Set<string>();

  /** Without `isWritten` copies are only read. */
  constructor(directory: string, { isWritten = true }: { readonly isWritten?: boolean } = {}) {
    this.#directory = directory;
    this.#isWritten = isWritten;
  }

  /** Whether a flush has something to do. */
  get isBehind(): boolean {
    return this.#isWritten && this.#toKeep.size + this.#toForget.size > 0;
  }

  names(): readonly string[] {
    try {
      return readdirSync(this.#directory).filter(isPolicyFileName);
    } catch (error) {
      throwShortage(error, 'list', this.#directory);
      return [];
    }
  }

  /** `undefined` also where the copy cannot be read: then there is none. */
  read(name: string): Uint8Array | undefined {
    if (this.#toForget.has(name)) return undefined;
    const file = readSourceFile(join(this.#directory, name));
    return file.kind === 'read' ? file.bytes : undefined;
  }

  keep(name: string, file: ReadFile): void {
    this.#toForget.delete(name);
    if (this.#isWritten) this.#toKeep.set(name, file);
  }

  forget(name: string): void {
    this.#toKeep.delete(name);
    this.#toForget.add(name);
  }

  /**
   * Writes at most so many copies. Returns what kept it from being done, to be tried again by the next flush. It stops at the
   * first refusal: on a full disk each further write would cost as much and say the same.
   */
  flush(most: number): string | undefined {
    if (!this.#isWritten) return undefined;
    let left = most;
    try {
      for (const name of this.#toForget) {
        if (left-- <= 0) return undefined;
        rmSync(join(this.#directory, name), { force: true });
        this.#toForget.delete(name);
      }
      for (const [name, file] of this.#toKeep) {
        if (left-- <= 0) return undefined;
        this.#write(name, file.bytes ?? readAgain(file));
        this.#toKeep.delete(name);
      }
      return undefined;
    } catch (error) {
      for (const [name, { path, stamp }] of this.#toKeep) this.#toKeep.set(name, { path, stamp });
      return errorText(error);
    }
  }

  #write(name: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    const path = join(this.#directory, name);
    // A start finds nearly all copies as they should be; to read is far cheaper than to write.
    if (readIfThere(path)?.equals(bytes)) return;
    writeAtomically(path, bytes, { until: 'cache' });
  }
}

/** `undefined` where the file is no longer the one that could be used. */
function readAgain({ path, stamp }: { readonly path: string; readonly stamp: Stamp }): Uint8Array | undefined {
  const file = readSourceFile(path);
  if (file.kind !== 'read') return undefined;
  return file.stamp.inode === stamp.inode && file.stamp.ctimeNs === stamp.ctimeNs ? file.bytes : undefined;
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
