/** Who may talk to the daemon: root and the members of one group, told by the kernel and not by the caller. */
import type { Socket } from 'node:net';
import { type PeerCredentials, peerCredentials } from '../kernel/peer-credentials.ts';
import { descriptorOf } from '../kernel/socket-descriptor.ts';

/** Pure. `groupId` is absent where the machine has no such group. */
export function mayConnect({ uid, gids }: PeerCredentials, groupId: number | undefined): boolean {
  return uid === 0 || (groupId !== undefined && gids.includes(groupId));
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
