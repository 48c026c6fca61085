/** The kernel's packet queue: an nfnetlink_queue binding that answers in the thread that asks. */
import { MSG_DONTWAIT, NetlinkSocket } from '../kernel/netlink-socket.ts';
import { encodeMessage, type NetlinkRequest } from '../netlink/message.ts';
import {
  encodeQueueBind,
  encodeQueueFlags,
  encodeQueueMaxLength,
  encodeQueueParams,
  NFQA_CFG_F_FAIL_OPEN,
  NFQA_CFG_F_GSO,
  NFQA_CFG_F_UID_GID,
  NFQNL_COPY_PACKET,
  NFQUEUE_PACKET,
  VerdictMessage,
} from '../netlink/nfqueue.ts';
import { NETLINK_NETFILTER, NETLINK_NO_ENOBUFS, SOL_NETLINK } from '../netlink/uapi.ts';
import { MAX_HELD_PACKETS } from './verdict-holding.ts';
import type { VerdictQueue } from './verdict-loop.ts';
import type { PacketVerdict } from './verdict-mark.ts';

/** IPv6 with every extension header that is read, and the ports. */
const COPY_RANGE_BYTES = 256;
/** Packets that wait in the kernel: as many as may be held, and as many again that are to be answered at once. */
export const QUEUE_MAX_PACKETS: number = 2 * MAX_HELD_PACKETS;
/** `whenAway` asks the kernel to let pass what it has no room for. */
const FLAGS_MASK = NFQA_CFG_F_UID_GID | NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN;
/** For that many messages; the kernel accounts about 1 KiB each. */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;

export interface KernelQueueOptions {
  readonly number: number;
  /** When the queue is full the kernel lets packets pass instead of dropping them. */
  readonly failOpen: boolean;
}

export class KernelQueue implements VerdictQueue {
  readonly #socket: NetlinkSocket;
  readonly #number: number;
  readonly #message: VerdictMessage;
  /** Packets that came while the queue was being set up, or its flags were sent. */
  readonly #early: Uint8Array[] = [];
  #failOpen = false;

  private constructor(number: number) {
    this.#number = number;
    this.#message = new VerdictMessage(number);
    this.#socket = NetlinkSocket.open(NETLINK_NETFILTER, {
      onUnsolicited: (message) => {
        if (message.type === NFQUEUE_PACKET) this.#early.push(encodeMessage(message));
      },
    });
  }

  /** Throws KernelError: EBUSY where another process has this queue, EPERM without CAP_NET_ADMIN. */
  static open({ number, failOpen }: KernelQueueOptions): KernelQueue {
    const queue = new KernelQueue(number);
    try {
      queue.#setUp(failOpen);
      return queue;
    } catch (error) {
      queue[Symbol.dispose]();
      throw error;
    }
  }

  #setUp(failOpen: boolean): void {
    const number = this.#number;
    // Without it one lost message would end every later receive call until it is read: packets lost to us are dropped anyway.
    this.#socket.setOption(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
    this.#socket.setReceiveBuffer(RECEIVE_BUFFER_BYTES);
    const ask = (request: NetlinkRequest, operation: string): void => this.#ask(request, operation);
    ask(encodeQueueBind(number), 'bind queue');
    this.#sendFlags(failOpen);
    ask(encodeQueueMaxLength(number, QUEUE_MAX_PACKETS), 'set length of queue');
    // Last: packets are copied from here on.
    ask(
      encodeQueueParams(number, { copyMode: NFQNL_COPY_PACKET, copyRange: COPY_RANGE_BYTES }),
      'set copy range of queue',
    );
  }

  #ask(request: NetlinkRequest, operation: string): void {
    this.#socket.request(request, { operation, object: `${this.#number}` });
  }

  #sendFlags(failOpen: boolean): void {
    const flags = NFQA_CFG_F_UID_GID | NFQA_CFG_F_GSO | (failOpen ? NFQA_CFG_F_FAIL_OPEN : 0);
    this.#ask(encodeQueueFlags(this.#number, { flags, mask: FLAGS_MASK }), 'set flags of queue');
    this.#failOpen = failOpen;
  }

  /** See KernelQueueOptions. Throws KernelError. */
  setFailOpen(failOpen: boolean): void {
    if (failOpen !== this.#failOpen) this.#sendFlags(failOpen);
  }

  /** Packets came early: `receive` gives them without the descriptor being readable. */
  get hasEarly(): boolean {
    return this.#early.length > 0;
  }

  /** Can be read when packets wait, except those that came early. */
  get fd(): number {
    return this.#socket.fd;
  }

  receive(buffer: Uint8Array): number {
    const early = this.#early.shift();
    if (early === undefined) return this.#socket.receiveInto(buffer, MSG_DONTWAIT);
    buffer.set(early);
    return early.length;
  }

  send(packetId: number, { verdict, mark }: PacketVerdict): number {
    return this.#socket.send(this.#message.set(packetId, verdict, mark));
  }

  /** The kernel drops what still waits. */
  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
