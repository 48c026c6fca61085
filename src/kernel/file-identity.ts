import { statSync } from 'node:fs';

/** What tells a file from every other, also from one that got its inode number later. `device` is stat(2)'s, as seen from here. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly uid: bigint;
  readonly birthNs: bigint;
  readonly modifiedNs: bigint;
}

/** Follows links, those of procfs to files without a name too; `undefined` where there is nothing to see. */
export function fileIdentity(path: string): FileIdentity | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const { dev: device, ino: inode, uid, birthtimeNs: birthNs, mtimeNs: modifiedNs } = stat;
    return { device, inode, uid, birthNs, modifiedNs };
  } catch {
    return undefined;
  }
}

/** Inode number and time of the last change of the inode (ctime), which nobody can set; links are followed. */
export interface FileChange {
  readonly inode: bigint;
  readonly changedNs: bigint;
}

export function fileChange(path: string): FileChange | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && { inode: stat.ino, changedNs: stat.ctimeNs };
  } catch {
    return undefined;
  }
}

/** Nothing has happened to a file between two looks, or nothing was there either time. */
export function isSameChange(a: FileChange | undefined, b: FileChange | undefined): boolean {
  return a?.inode === b?.inode && a?.changedNs === b?.changedNs;
}

/** Of two files that exist at the same time. */
export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/** Of a file now and one seen earlier: an inode's number is given out again. */
export function isStillSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return isSameFile(a, b) && a.uid === b.uid && a.birthNs === b.birthNs && a.modifiedNs === b.modifiedNs;
}
