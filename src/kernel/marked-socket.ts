/** Sockets that carry a mark before their first packet: neither net nor dgram of Node can set one. */
import { constants } from 'node:os';
import { type Address, formatAddress } from '../net/address.ts';
import { AF_INET, AF_INET6 } from '../netlink/uapi.ts';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';
import { encodeSocketAddress } from './socket-address.ts';

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PRIORITY = 12;
const SO_MARK = 36;

export interface MarkedSocket {
  readonly kind: 'udp' | 'tcp';
  readonly mark: number;
  /** Of its packets; more than 6 needs CAP_NET_ADMIN. */
  readonly priority?: number;
  readonly peer: Address;
  readonly port: number;
}

/**
 * A socket that is connected, or (TCP) on its way to it, and takes datagrams from its peer alone; its descriptor is the
 * caller's. The kernel chooses address and port, at random, by the mark's route. Throws KernelError.
 */
export function openMarkedSocket({ kind, mark, priority, peer, port }: MarkedSocket): number {
  const { socket, setsockopt, connect, close, errno } = libc();
  const object = `${formatAddress(peer)} port ${port}`;
  const type = (kind === 'udp' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = socket(peer.family === 4 ? AF_INET : AF_INET6, type, 0);
  if (fd < 0) throw lastKernelError('open socket', object);
  const set = (option: number, value: number): boolean => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return setsockopt(fd, SOL_SOCKET, option, bytes, bytes.length) === 0;
  };
  const address = encodeSocketAddress(peer, port);
  const isOpen =
    set(SO_MARK, mark) &&
    (priority === undefined || set(SO_PRIORITY, priority)) &&
    (connect(fd, address, address.length) === 0 || errno() === constants.errno.EINPROGRESS);
  if (isOpen) return fd;
  const error = lastKernelError('connect', object);
  close(fd);
  throw error;
}

/** One datagram, to the peer. Throws KernelError. */
export function sendOn(fd: number, bytes: Uint8Array): void {
  if (libc().send(fd, bytes, bytes.length, 0) < 0) throw lastKernelError('send', `descriptor ${fd}`);
}
