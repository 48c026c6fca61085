/** `--root`: a directory that stands for the root of the file system, as far as our own files are concerned. */
import { type Stats, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';

/** Who runs the command, and for whom. */
export interface Caller {
  readonly uid: number;
  /** The user that sudo(8) was called by. */
  readonly sudoUid: number | undefined;
}

/**
 * The directory without a slash at its end. Throws InvalidArgumentError where it is relative (a daemon has no place of its own), not
 * there (a typing mistake would be a machine without policies), or, for root, belongs to somebody who did not ask for it.
 */
export function parseRoot(text: string, { uid, sudoUid }: Caller = callerOf()): string {
  if (!isAbsolute(text)) throw new InvalidArgumentError(`It has to be absolute: ${resolve(text)}`);
  const stats = look(text);
  if (stats === undefined) throw new InvalidArgumentError('There is no such directory.');
  if (!stats.isDirectory()) throw new InvalidArgumentError('That is no directory.');
  const isForeign = uid === 0 && stats.uid !== 0 && stats.uid !== sudoUid;
  if (isForeign) {
    throw new InvalidArgumentError(
      `It belongs to user ${stats.uid}, whose files root does not follow: sudo chown root.`,
    );
  }
  return resolve(text);
}

function callerOf(): Caller {
  const sudoUid = process.env.SUDO_UID;
  return { uid: process.geteuid?.() ?? -1, sudoUid: /^\d+$/.test(sudoUid ?? '') ? Number(sudoUid) : undefined };
}

function look(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
