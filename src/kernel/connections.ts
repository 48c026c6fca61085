import { constants } from 'node:os';
import { equalAddress, formatAddress, unmapAddress } from '../net/address.ts';
import { encodeSocketDestroy } from '../netlink/sock-destroy.ts';
import { decodeSocket, encodeSocketLookup, type InetSocket, type SocketLookup } from '../netlink/sock-diag.ts';
import { decodeReply } from './decode-reply.ts';
import { kernelErrorFromErrno } from './errno.ts';
import type { Connections, OutgoingFlow } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

/** `socket` is a NETLINK_SOCK_DIAG socket of the namespace that is meant. */
export function openConnections(socket: NetlinkSocket): Connections {
  return {
    abort: (flow) => {
      const ends = endsOf(flow);
      if (ends === undefined) return false;
      const found = connectedSocket(socket, ends);
      return found !== undefined && destroy(socket, ends, found.cookie);
    },
    boundDevice: (flow) => {
      const ends = endsOf(flow);
      const found = ends && connectedSocket(socket, ends);
      return found === undefined || found.interfaceIndex === 0 ? undefined : found.interfaceIndex;
    },
  };
}

function endsOf(flow: OutgoingFlow): SocketLookup | undefined {
  const { protocol, source, destination, sourcePort, destinationPort, deviceIndex } = flow;
  if (sourcePort === undefined || destinationPort === undefined) return undefined;
  return {
    protocol,
    local: source,
    localPort: sourcePort,
    remote: destination,
    remotePort: destinationPort,
    ...(deviceIndex !== undefined && { interfaceIndex: deviceIndex }),
  };
}

/** Where nothing is connected so, the kernel finds a listener, or a UDP socket that talks to everybody. */
function connectedSocket(socket: NetlinkSocket, ends: SocketLookup): InetSocket | undefined {
  const subject = { operation: 'look up socket', object: endsText(ends) };
  const [answer] = orNothing(() => socket.request(encodeSocketLookup(ends), subject)) ?? [];
  if (answer === undefined) return undefined;
  const found = decodeReply(subject, () => decodeSocket(answer));
  const isConnected = found.remotePort === ends.remotePort && equalAddress(unmapAddress(found.remote), ends.remote);
  return isConnected ? found : undefined;
}

function destroy(socket: NetlinkSocket, ends: SocketLookup, cookie: bigint): boolean {
  const subject = { operation: 'destroy socket', object: endsText(ends) };
  try {
    return orNothing(() => socket.request(encodeSocketDestroy({ ...ends, cookie }), subject)) !== undefined;
  } catch (error) {
    // Kernels before 4.5 do not know the request.
    if (!(error instanceof KernelError && error.code === 'EINVAL')) throw error;
    throw kernelErrorFromErrno(subject.operation, constants.errno.EOPNOTSUPP, subject.object);
  }
}

/** Undefined for ENOENT: it has ended meanwhile, or the kernel cannot look for sockets of this protocol. */
function orNothing<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof KernelError && error.isNotFound) return undefined;
    throw error;
  }
}

const endsText = ({ local, localPort, remote, remotePort }: SocketLookup): string =>
  `${formatAddress(local)} port ${localPort} -> ${formatAddress(remote)} port ${remotePort}`;
