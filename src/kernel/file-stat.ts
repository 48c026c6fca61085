/** What stat(2) says of a file, from struct statx or from Node. Pure. */
import type { BigIntStats } from 'node:fs';

export interface FileStat {
  /** As stat(2) numbers it. */
  readonly device: bigint;
  readonly inode: bigint;
  readonly mode: number;
  /** How many names it has. */
  readonly links: number;
  readonly uid: bigint;
  readonly size: bigint;
  readonly birthNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  /** The mount by which it was come to, as in mountinfo; of struct statx alone, since Linux 5.8. */
  readonly mountId?: bigint;
}

/** linux/stat.h: struct statx. */
export const STATX_BYTES = 256;
/** STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID */
export const STATX_MASK = 0x1fff;
const STATX_MNT_ID = 0x1000;
const LINKS_AT = 16;
const UID_AT = 20;
const MODE_AT = 28;
const INODE_AT = 32;
const SIZE_AT = 40;
const BIRTH_AT = 80;
const CHANGED_AT = 96;
const MODIFIED_AT = 112;
const DEVICE_AT = 136;
const MOUNT_ID_AT = 144;
const NS_PER_S = 1_000_000_000n;

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

export const isDirectory = ({ mode }: Pick<FileStat, 'mode'>): boolean => (mode & S_IFMT) === S_IFDIR;
export const isRegularFile = ({ mode }: Pick<FileStat, 'mode'>): boolean => (mode & S_IFMT) === S_IFREG;

export function decodeStatx(bytes: Uint8Array): FileStat {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const timeNs = (at: number): bigint => view.getBigInt64(at, true) * NS_PER_S + BigInt(view.getUint32(at + 8, true));
  return {
    device: deviceNumber(BigInt(view.getUint32(DEVICE_AT, true)), BigInt(view.getUint32(DEVICE_AT + 4, true))),
    inode: view.getBigUint64(INODE_AT, true),
    mode: view.getUint16(MODE_AT, true),
    links: view.getUint32(LINKS_AT, true),
    uid: BigInt(view.getUint32(UID_AT, true)),
    size: view.getBigUint64(SIZE_AT, true),
    birthNs: timeNs(BIRTH_AT),
    modifiedNs: timeNs(MODIFIED_AT),
    changedNs: timeNs(CHANGED_AT),
    ...((view.getUint32(0, true) & STATX_MNT_ID) === 0 ? {} : { mountId: view.getBigUint64(MOUNT_ID_AT, true) }),
  };
}

export function fileStatOf(stats: BigIntStats): FileStat {
  const { dev: device, ino: inode, mode, nlink, uid, size, birthtimeNs, mtimeNs, ctimeNs } = stats;
  const times = { birthNs: birthtimeNs, modifiedNs: mtimeNs, changedNs: ctimeNs };
  return { device, inode, mode: Number(mode), links: Number(nlink), uid, size, ...times };
}

/** `MAJOR:MINOR`, as mountinfo has it. */
export function deviceText(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** makedev(3). */
function deviceNumber(major: bigint, minor: bigint): bigint {
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn);
}
