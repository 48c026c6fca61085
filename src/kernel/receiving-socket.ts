/** A UDP socket with more room for what waits in it than Node can ask for: many may send to it at once. */
import { type Address, formatAddress } from '../net/address.ts';
import { AF_INET, AF_INET6 } from '../netlink/uapi.ts';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';
import { encodeSocketAddress } from './socket-address.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
/** As SO_RCVBUF, past net.core.rmem_max: socket(7). */
const SO_RCVBUFFORCE = 33;

export interface ReceivingSocket {
  readonly address: Address;
  readonly port: number;
  /** The kernel takes twice as much, and counts its own overhead: some 800 bytes for a small datagram. */
  readonly receiveBufferBytes: number;
}

/** Bound to the address; the descriptor is the caller's. Throws KernelError. */
export function openReceivingSocket({ address, port, receiveBufferBytes }: ReceivingSocket): number {
  const { socket, setsockopt, bind, close } = libc();
  const object = `${formatAddress(address)} port ${port}`;
  const fd = socket(address.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw lastKernelError('open socket', object);
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, receiveBufferBytes, true);
  const end = encodeSocketAddress(address, port);
  // Where the room is not to be had, the system's default has to do.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length);
  if (bind(fd, end, end.length) === 0) return fd;
  const error = lastKernelError('bind', object);
  close(fd);
  throw error;
}
