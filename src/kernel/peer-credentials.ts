/** Who is at the other end of a unix socket: SO_PEERCRED and SO_PEERGROUPS (unix(7), socket(7)), fixed when it connected. */
import { constants } from 'node:os';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
/** struct ucred {pid_t pid; uid_t uid; gid_t gid}. */
const UCRED_BYTES = 12;
const GID_BYTES = 4;
/** NGROUPS_MAX is 65,536; nobody who manages connections is in more than these. */
const MAX_GROUPS = 4096;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  /** The effective group and the supplementary ones. */
  readonly gids: readonly number[];
}

/** `fd` is a connected unix stream socket. Throws KernelError. */
export function peerCredentials(fd: number): PeerCredentials {
  const ucred = readOption(fd, SO_PEERCRED, UCRED_BYTES);
  const groups = readOption(fd, SO_PEERGROUPS, MAX_GROUPS * GID_BYTES);
  const gids = Array.from({ length: groups.byteLength / GID_BYTES }, (_, i) => groups.getUint32(i * GID_BYTES, true));
  return {
    pid: ucred.getUint32(0, true),
    uid: ucred.getUint32(4, true),
    gids: [...new Set([ucred.getUint32(8, true), ...gids])],
  };
}

function readOption(fd: number, name: number, limitBytes: number): DataView {
  const value = new Uint8Array(limitBytes);
  const length = new Uint8Array(4);
  const lengthView = new DataView(length.buffer);
  lengthView.setUint32(0, limitBytes, true);
  if (libc().getsockopt(fd, SOL_SOCKET, name, value, length) < 0) {
    const error = lastKernelError('getsockopt', `peer of descriptor ${fd}`);
    // Too many groups to list: none is better than a guess.
    if (error.errno !== constants.errno.ERANGE) throw error;
    return new DataView(new ArrayBuffer(0));
  }
  return new DataView(value.buffer, 0, lengthView.getUint32(0, true));
}
