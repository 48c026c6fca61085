/**
 * An AF_NETLINK socket: netlink(7). Requests block the calling thread until the kernel has answered; the codecs in
 * `netlink/` know what the bytes mean.
 */
import { constants } from 'node:os';
import {
  decodeAcknowledgement,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  type NetlinkRequest,
} from '../netlink/message.ts';
import { encodeBatch } from '../netlink/nftables.ts';
import {
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  SOL_NETLINK,
} from '../netlink/uapi.ts';
import { decodeReply } from './decode-reply.ts';
import { kernelErrorFromErrno, lastKernelError } from './errno.ts';
import type { KernelError } from './kernel-error.ts';
import { libc } from './libc.ts';
import { poll } from './poll.ts';

const AF_NETLINK = 16;
const SOCKADDR_NL_BYTES = 12;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const NETLINK_DROP_MEMBERSHIP = 2;

/** Flags for `receiveInto`. */
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

/** The kernel builds dump replies of at most 32 KiB; single messages are below 64 KiB by nlattr's 16 bit length. */
const RECEIVE_BUFFER_BYTES = 65_536;
/** A batch of 10,000 set elements has about 1 MB; unless raised, the limit for one batch is 208 KiB. */
const SEND_BUFFER_BYTES = 8 * 1024 * 1024;
/** The kernel answers at once, except while somebody else holds the lock of that subsystem. */
const DEFAULT_TIMEOUT_MS = 5_000;
/** A dump that the kernel calls inconsistent (something changed meanwhile) is repeated so often. */
const DUMP_ATTEMPTS = 8;
const LAST_SEQUENCE = 0x7fffffff;
/** The sequence of what the kernel sends by itself. */
const UNSOLICITED = 0;

export interface NetlinkSocketOptions {
  /** How long a request waits for each part of its answer. */
  readonly timeoutMs?: number;
  /** Multicast groups to join, by number. */
  readonly groups?: readonly number[];
  /** What arrives between a request and its answer without belonging to it; otherwise such messages are lost. */
  readonly onUnsolicited?: (message: NetlinkMessage) => void;
}

/** What a request is about, in words: for its KernelError. */
export interface Subject {
  readonly operation: string;
  readonly object: string;
}

export class NetlinkSocket {
  readonly fd: number;
  readonly #timeoutMs: number;
  readonly #onUnsolicited: (message: NetlinkMessage) => void;
  readonly #libc = libc();
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  #sequence = 0;
  #closed = false;

  private constructor(fd: number, options: NetlinkSocketOptions) {
    this.fd = fd;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#onUnsolicited = options.onUnsolicited ?? (() => {});
  }

  /** `protocol` is a NETLINK_* number: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_SOCK_DIAG. Throws KernelError. */
  static open(protocol: number, options: NetlinkSocketOptions = {}): NetlinkSocket {
    const fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) throw lastKernelError('open netlink socket', `protocol ${protocol}`);
    const socket = new NetlinkSocket(fd, options);
    try {
      socket.#prepare(options.groups ?? []);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  #prepare(groups: readonly number[]): void {
    const address = new Uint8Array(SOCKADDR_NL_BYTES);
    address[0] = AF_NETLINK;
    if (this.#libc.bind(this.fd, address, address.length) < 0) throw lastKernelError('bind', 'netlink socket');
    // Old kernels lack some of these; the same requests work without, with poorer error texts.
    for (const name of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
      this.trySetOption(SOL_NETLINK, name, 1);
    this.trySetOption(SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
    for (const group of groups) this.join(group);
  }

  /** The address that the kernel gave this socket: `nlmsg_pid` of what it sends. */
  get portId(): number {
    const address = new Uint8Array(SOCKADDR_NL_BYTES);
    const length = new Uint8Array([address.length, 0, 0, 0]);
    if (this.#libc.getsockname(this.fd, address, length) < 0) throw lastKernelError('getsockname', 'netlink socket');
    return new DataView(address.buffer).getUint32(4, true);
  }

  /** setsockopt(2) with an int. Throws KernelError. */
  setOption(level: number, name: number, value: number): void {
    if (!this.trySetOption(level, name, value)) throw lastKernelError('setsockopt', `level ${level} option ${name}`);
  }

  /** As `setOption`; false where the kernel refuses. */
  trySetOption(level: number, name: number, value: number): boolean {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return this.#libc.setsockopt(this.fd, level, name, bytes, bytes.length) === 0;
  }

  /** Size of the kernel's queue for this socket, in bytes, beyond the system-wide limit. */
  setReceiveBuffer(bytes: number): void {
    this.setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  }

  /** Receives a multicast group's messages from now on. */
  join(group: number): void {
    this.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  leave(group: number): void {
    this.setOption(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group);
  }

  /** Sends ready-made messages. Number of bytes, or a negative errno. Allocates nothing. */
  send(bytes: Uint8Array, length: number = bytes.length): number {
    const sent = this.#libc.send(this.fd, bytes, length, 0);
    return sent < 0 ? -this.#libc.errno() : sent;
  }

  /** One datagram into the caller's buffer. Number of bytes, or a negative errno (-EAGAIN). Allocates nothing. */
  receiveInto(buffer: Uint8Array, flags: number): number {
    const received = this.#libc.recv(this.fd, buffer, buffer.length, flags);
    return received < 0 ? -this.#libc.errno() : received;
  }

  /** One request and what it is answered with, before the acknowledgement. Throws KernelError. */
  request(request: NetlinkRequest, subject: Subject): NetlinkMessage[] {
    const sequence = this.#transmit(request, NLM_F_REQUEST | NLM_F_ACK, subject);
    return this.#collect(sequence, subject).messages;
  }

  /** The first objects of a kind, `limit` or more. The rest is on its way: this socket is of no further use. Throws KernelError. */
  dumpSome(request: NetlinkRequest, subject: Subject, limit: number): NetlinkMessage[] {
    const sequence = this.#transmit(request, NLM_F_REQUEST | NLM_F_DUMP, subject);
    return this.#collect(sequence, subject, limit).messages;
  }

  /** All objects of a kind; repeated while the kernel reports that they changed during the dump. Throws KernelError. */
  dump(request: NetlinkRequest, subject: Subject): NetlinkMessage[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const sequence = this.#transmit(request, NLM_F_REQUEST | NLM_F_DUMP, subject);
      const answer = this.#collect(sequence, subject);
      if (!answer.interrupted) return answer.messages;
    }
    const detail = 'it kept changing while it was read';
    throw kernelErrorFromErrno(subject.operation, constants.errno.EAGAIN, subject.object, detail);
  }

  /**
   * An nf_tables transaction: all requests take effect, or none and the first refusal is thrown; ERESTART where the ruleset has
   * another generation than the one that is stated.
   */
  batch(requests: readonly NetlinkRequest[], subject: Subject, at: { readonly generation?: number } = {}): void {
    if (requests.length === 0) return;
    const acknowledged = requests.map((request) => ({ ...request, flags: request.flags | NLM_F_ACK }));
    if (this.#sequence + requests.length + 2 > LAST_SEQUENCE) this.#sequence = 0;
    const begin = this.#nextSequence();
    const open = new Set(requests.map(() => this.#nextSequence()));
    // The end of the batch has a number too.
    this.#nextSequence();
    this.#sendOrThrow(encodeBatch({ ...at, requests: acknowledged, sequence: begin }), subject);
    this.#awaitBatch(begin, open, subject);
  }

  /** Each request is acknowledged; a refusal of the transaction as a whole carries the sequence of its beginning. */
  #awaitBatch(begin: number, open: Set<number>, subject: Subject): void {
    let refusal: KernelError | undefined;
    while (open.size > 0) {
      for (const message of this.#receive(subject)) {
        if (message.type !== NLMSG_ERROR) continue;
        if (!open.delete(message.sequence) && message.sequence !== begin) continue;
        refusal ??= refusalOf(message, subject);
        if (message.sequence === begin && refusal !== undefined) throw refusal;
      }
    }
    if (refusal !== undefined) throw refusal;
  }

  #nextSequence(): number {
    this.#sequence = this.#sequence >= LAST_SEQUENCE ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  #transmit(request: NetlinkRequest, flags: number, subject: Subject): number {
    const sequence = this.#nextSequence();
    this.#sendOrThrow(encodeMessage({ ...request, flags: request.flags | flags, sequence }), subject);
    return sequence;
  }

  #sendOrThrow(bytes: Uint8Array, subject: Subject): void {
    const sent = this.send(bytes);
    if (sent < 0) throw kernelErrorFromErrno(subject.operation, -sent, subject.object);
  }

  /** All that the kernel says to `sequence`, up to its end or `limit`. Answers to older requests are left-overs: skipped. */
  #collect(
    sequence: number,
    subject: Subject,
    limit = Number.POSITIVE_INFINITY,
  ): { messages: NetlinkMessage[]; interrupted: boolean } {
    const messages: NetlinkMessage[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of this.#receive(subject)) {
        if (message.sequence !== sequence) {
          if (message.sequence === UNSOLICITED) this.#onUnsolicited(message);
          continue;
        }
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          messages.push(message);
          continue;
        }
        const refusal = refusalOf(message, subject);
        if (refusal !== undefined) throw refusal;
        return { messages, interrupted };
      }
      if (messages.length >= limit) return { messages, interrupted };
    }
  }

  #receive(subject: Subject): NetlinkMessage[] {
    const deadlineMs = performance.now() + this.#timeoutMs;
    // A signal ends poll early.
    while (poll([this.fd], Math.max(0, Math.ceil(deadlineMs - performance.now()))).length === 0) {
      if (performance.now() >= deadlineMs) {
        throw kernelErrorFromErrno(subject.operation, constants.errno.ETIMEDOUT, subject.object);
      }
    }
    const received = this.receiveInto(this.#buffer, MSG_TRUNC);
    if (received < 0) throw kernelErrorFromErrno(subject.operation, -received, subject.object);
    if (received > this.#buffer.length) {
      throw kernelErrorFromErrno(subject.operation, constants.errno.EMSGSIZE, subject.object);
    }
    // A copy: messages are views, and outlive what the buffer holds now.
    return decodeReply(subject, () => decodeMessages(this.#buffer.slice(0, received)));
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#libc.close(this.fd);
  }
}

function refusalOf(message: NetlinkMessage, subject: Subject): KernelError | undefined {
  const { errno, message: detail } = decodeReply(subject, () => decodeAcknowledgement(message));
  return errno === 0 ? undefined : kernelErrorFromErrno(subject.operation, errno, subject.object, detail);
}
