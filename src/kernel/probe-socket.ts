/**
 * A socket of the daemon's that leaves by one uplink and no other: it has the uplink's address, and a mark that leads to the uplink's
 * table. Nothing here blocks.
 */
import { constants } from 'node:os';
import type { Address } from '../net/address.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { TCP_ESTABLISHED } from '../netlink/sock-diag.ts';
import { decodeTcpInfo, TCP_INFO_BYTES } from '../netlink/tcp-info.ts';
import { AF_INET, AF_INET6 } from '../netlink/uapi.ts';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';
import { encodeSocketAddress } from './socket-address.ts';

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
const SO_MARK = 36;
const SOL_IP = 0;
const IP_RECVERR = 11;
const SOL_IPV6 = 41;
const IPV6_RECVERR = 25;
const TCP_INFO = 11;
/** SIOCGSTAMP_NEW (linux/sockios.h), since Linux 5.1: two 64-bit integers whatever the architecture. */
const SIOCGSTAMP = 0x80108906;
const STAMP_BYTES = 16;
const MSG_NOSIGNAL = 0x4000;
/** The least that the kernel gives: what a peer may send unasked is as little. */
const TCP_RECEIVE_BYTES = 2304;

export type ProbeSocketKind = 'icmp' | 'tcp' | 'udp';

export interface ProbeSocketOptions {
  readonly kind: ProbeSocketKind;
  /** An address of the uplink's. */
  readonly source: Address;
  readonly mark: number;
}

export class ProbeSocket implements Disposable {
  readonly fd: number;
  /**
   * A raw ICMP socket: where net.ipv4.ping_group_range lets nobody have the other kind. It has no identifier of its own, hears other
   * sockets' answers too, and gives IPv4 packets with their header.
   */
  readonly isRaw: boolean;
  readonly #libc = libc();
  #isClosed = false;

  private constructor(fd: number, isRaw: boolean) {
    this.fd = fd;
    this.isRaw = isRaw;
  }

  /** Throws KernelError: EADDRNOTAVAIL where the uplink has lost the address. */
  static open({ kind, source, mark }: ProbeSocketOptions): ProbeSocket {
    const { fd, isRaw } = openDescriptor(kind, source);
    const socket = new ProbeSocket(fd, isRaw);
    try {
      socket.#option(SOL_SOCKET, SO_MARK, [mark]);
      if (source.family === 4) socket.#option(SOL_IP, IP_RECVERR, [1]);
      else socket.#option(SOL_IPV6, IPV6_RECVERR, [1]);
      if (kind === 'tcp') {
        socket.#option(SOL_SOCKET, SO_RCVBUF, [TCP_RECEIVE_BYTES]);
        // Closed by a reset: nothing more is sent, and no port waits.
        socket.#option(SOL_SOCKET, SO_LINGER, [1, 0]);
      } else {
        // There is nothing yet; a moment after this question the kernel begins to note times.
        socket.lastArrivalMs();
      }
      const local = encodeSocketAddress(source, 0);
      if (socket.#libc.bind(socket.fd, local, local.length) < 0) throw lastKernelError('bind', `${kind} probe`);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** 0 where it is connected or on its way, else a positive errno. */
  connect(address: Address, port: number, deviceIndex: number): number {
    const remote = encodeSocketAddress(address, port, deviceIndex);
    if (this.#libc.connect(this.fd, remote, remote.length) === 0) return 0;
    const errno = this.#libc.errno();
    return errno === constants.errno.EINPROGRESS ? 0 : errno;
  }

  /** Number of bytes, or a negative errno. */
  send(bytes: Uint8Array): number {
    const sent = this.#libc.send(this.fd, bytes, bytes.length, MSG_NOSIGNAL);
    return sent < 0 ? -this.#libc.errno() : sent;
  }

  /** Number of bytes, 0 at the end of a stream, or a negative errno (-EAGAIN). */
  receiveInto(buffer: Uint8Array): number {
    const received = this.#libc.recv(this.fd, buffer, buffer.length, 0);
    return received < 0 ? -this.#libc.errno() : received;
  }

  /** What became of `connect`: 0 or a positive errno. */
  takeError(): number {
    return new DataView(this.#read(SOL_SOCKET, SO_ERROR, 4).buffer).getInt32(0, true);
  }

  /**
   * When the datagram that was received last came in, by the clock of Date.now(), in milliseconds: whoever reads may be late. Absent
   * where the kernel has not noted it.
   */
  lastArrivalMs(): number | undefined {
    const stamp = new Uint8Array(STAMP_BYTES);
    if (this.#libc.ioctl(this.fd, SIOCGSTAMP, stamp) < 0) return undefined;
    const view = new DataView(stamp.buffer);
    return Number(view.getBigInt64(0, true)) * 1000 + Number(view.getBigInt64(8, true)) / 1000;
  }

  /** Of a TCP socket: whether it is connected, and the kernel's own measurement of the way and back where it has one. */
  tcpState(): { readonly isConnected: boolean; readonly rttMs?: number } {
    const { state, rttMs } = decodeTcpInfo(this.#read(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES));
    return { isConnected: state === TCP_ESTABLISHED, ...(rttMs > 0 && { rttMs }) };
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#libc.close(this.fd);
  }

  #option(level: number, name: number, values: readonly number[]): void {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (const [index, value] of values.entries()) view.setUint32(index * 4, value, true);
    if (this.#libc.setsockopt(this.fd, level, name, bytes, bytes.length) < 0) {
      throw lastKernelError('setsockopt', `level ${level} option ${name}`);
    }
  }

  #read(level: number, name: number, length: number): Uint8Array {
    const value = new Uint8Array(length);
    const size = new Uint8Array([length, 0, 0, 0]);
    if (this.#libc.getsockopt(this.fd, level, name, value, size) < 0) {
      throw lastKernelError('getsockopt', `level ${level} option ${name}`);
    }
    return value;
  }
}

function openDescriptor(kind: ProbeSocketKind, { family }: Address): { readonly fd: number; readonly isRaw: boolean } {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const open = (type: number, protocol: number): number => libc().socket(domain, type | flags, protocol);
  if (kind !== 'icmp') {
    const fd = kind === 'tcp' ? open(SOCK_STREAM, IPPROTO_TCP) : open(SOCK_DGRAM, IPPROTO_UDP);
    if (fd < 0) throw lastKernelError('socket', `${kind} probe`);
    return { fd, isRaw: false };
  }
  const protocol = family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  const ping = open(SOCK_DGRAM, protocol);
  const fd = ping < 0 ? open(SOCK_RAW, protocol) : ping;
  if (fd < 0) throw lastKernelError('socket', 'icmp probe');
  return { fd, isRaw: ping < 0 };
}
