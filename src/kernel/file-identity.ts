import { fileLooks } from './file-looks.ts';

/** What tells a file from every other, also from one that got its inode number later. `device` is stat(2)'s, as seen from here. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly uid: bigint;
  readonly birthNs: bigint;
  readonly modifiedNs: bigint;
}

/** Follows links; `undefined` where there is nothing to see, or not in time (`FileLooks`). */
export function fileIdentity(path: string): FileIdentity | undefined {
  return fileLooks().stat(path);
}

/** Of what a link of procfs leads to, also of a file without a name. */
export function kernelLinkIdentity(path: string): FileIdentity | undefined {
  return fileLooks().statByKernelLink(path);
}

/** Inode number and time of the last change of the inode (ctime), which nobody can set; links are followed. */
export interface FileChange {
  readonly inode: bigint;
  readonly changedNs: bigint;
}

export function fileChange(path: string): FileChange | undefined {
  return fileLooks().stat(path);
}

/** Of what a link of procfs leads to: whether the file has more than one name (hard links). */
export function hasOtherNames(path: string): boolean {
  return (fileLooks().statByKernelLink(path)?.links ?? 0) > 1;
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
