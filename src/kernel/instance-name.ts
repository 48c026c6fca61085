/**
 * The name by which daemons of one network namespace know of each other: an abstract unix socket lives in the namespace, as what
 * the daemon rules over does, and goes with its process, however that ends.
 */
import { connect } from 'node:net';
import { type PeerCredentials, peerCredentials } from './peer-credentials.ts';
import { descriptorOf } from './socket-descriptor.ts';

/** Anyone may take the name, so only root's holding it counts. */
export const INSTANCE_NAME = '\0pointsman';

/** Who holds the name, as the kernel says; `undefined` where nobody does. Also of a process that is stopped. */
export function holderOfName(name: string = INSTANCE_NAME): Promise<PeerCredentials | undefined> {
  return new Promise((resolve) => {
    const socket = connect(name);
    socket.once('error', () => resolve(undefined));
    socket.once('connect', () => {
      resolve(credentials(descriptorOf(socket)));
      socket.destroy();
    });
  });
}

function credentials(fd: number | undefined): PeerCredentials | undefined {
  try {
    return fd === undefined ? undefined : peerCredentials(fd);
  } catch {
    // Ignoring it: it has gone meanwhile.
    return undefined;
  }
}
