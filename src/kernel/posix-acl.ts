/** POSIX access control lists, acl(5): whom they name beside the owner, the group and the others that the mode speaks of. */
import { libc } from './libc.ts';

const ACCESS_ATTRIBUTE = 'system.posix_acl_access';
/** linux/posix_acl_xattr.h: a version, then {u16 tag; u16 perm; u32 id} for each entry. */
const POSIX_ACL_XATTR_VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
/** linux/posix_acl.h */
const ACL_USER = 0x02;
const ACL_GROUP_OBJ = 0x04;
const ACL_GROUP = 0x08;
const ACL_MASK = 0x10;
const ACL_WRITE = 0x02;
/** XATTR_SIZE_MAX of linux/limits.h. */
const MAX_ATTRIBUTE_BYTES = 65_536;

export interface AclWriters {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Whether the file's own group may write, which the mode does not say where there is a list. */
  readonly ownGroup: boolean;
}

/** Who may write by a list; `undefined` where there is none, or the file system has none. `path` is not followed. */
export function aclWriters(path: string): AclWriters | undefined {
  const bytes = new Uint8Array(MAX_ATTRIBUTE_BYTES);
  const length = libc().lgetxattr(path, ACCESS_ATTRIBUTE, bytes, bytes.length);
  return length < 0 ? undefined : readAclWriters(bytes.subarray(0, length));
}

/** Pure. */
export function readAclWriters(bytes: Uint8Array): AclWriters | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== POSIX_ACL_XATTR_VERSION) return undefined;
  const count = Math.floor((bytes.length - HEADER_BYTES) / ENTRY_BYTES);
  const entries = Array.from({ length: count }, (_, i) => {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    return { tag: view.getUint16(at, true), perm: view.getUint16(at + 2, true), id: view.getUint32(at + 4, true) };
  });
  const mask = entries.find(({ tag }) => tag === ACL_MASK)?.perm ?? ACL_WRITE;
  const writers = entries.filter(({ perm }) => (perm & mask & ACL_WRITE) !== 0);
  const idsOf = (wanted: number): number[] => writers.filter(({ tag }) => tag === wanted).map(({ id }) => id);
  return {
    uids: idsOf(ACL_USER),
    gids: idsOf(ACL_GROUP),
    ownGroup: writers.some(({ tag }) => tag === ACL_GROUP_OBJ),
  };
}
