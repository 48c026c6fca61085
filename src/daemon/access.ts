/** Who may talk to the daemon: root and the members of one group, told by the kernel and not by the caller. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type PeerCredentials, peerCredentials } from '../kernel/peer-credentials.ts';
import { descriptorOf } from '../kernel/socket-descriptor.ts';

export const ACCESS_GROUP = 'pointsman';

/** Pure. `groupId` is absent where the machine has no such group. */
export function mayConnect({ uid, gids }: PeerCredentials, groupId: number | undefined): boolean {
  return uid === 0 || (groupId !== undefined && gids.includes(groupId));
}

/** The number of the group in a group(5) file; undefined where it has none. */
export function accessGroupId(groupPath = '/etc/group'): number | undefined {
  const line = readText(groupPath)
    .split('\n')
    .find((text) => text.startsWith(`${ACCESS_GROUP}:`));
  const field = line?.split(':')[2];
  return field !== undefined && /^\d+$/.test(field) ? Number(field) : undefined;
}

/** Who is at the other end, where he is let in. Whoever cannot be told is let in by nobody. */
export function permittedPeer(socket: Socket, groupId: number | undefined): PeerCredentials | undefined {
  const fd = descriptorOf(socket);
  if (fd === undefined) return undefined;
  try {
    const peer = peerCredentials(fd);
    return mayConnect(peer, groupId) ? peer : undefined;
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
