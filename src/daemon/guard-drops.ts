/**
 * What the last guard drops: a program chose a device that its policy does not let it leave by, or the network changes at this moment.
 * A datagram's sender has heard of it. A connection would go on trying for minutes, so that of a socket which is bound to the device is
 * ended; one that is not finds its way when it tries again, a second later.
 */
import type { Connections } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Flow } from '../net/flow.ts';
import { decodePacket } from '../net/packet.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import type { LoggedPacket } from '../netlink/nflog.ts';
import { ANSWERS_PREFIX } from '../plan/compile-guard.ts';
import { readMark } from '../plan/flow-mark.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Warning } from './health.ts';

/** Since the daemon started; at least so many, since of a flood only some are told (`LOG_PER_SECOND` of each kind). */
export interface GuardCounts {
  /** First packets of connections, and packets of anything else, by a device that they may not leave by. */
  readonly opening: number;
  readonly other: number;
  /** Replies by another uplink than that of their address. */
  readonly answers: number;
  /** Connections that were ended. */
  readonly ended: number;
}

export interface GuardDropsParts {
  readonly connections: Connections;
  readonly uplinks: () => readonly UplinkState[];
  readonly deviceName: (index: number) => string | undefined;
  /** For those who watch. `chosenDevice`: by which it was about to leave. */
  readonly tell: (flow: Flow, mark: number) => void;
}

export class GuardDrops {
  readonly #parts: GuardDropsParts;
  #counts: GuardCounts = { opening: 0, other: 0, answers: 0, ended: 0 };
  #refusal: KernelError | undefined;

  constructor(parts: GuardDropsParts) {
    this.#parts = parts;
  }

  get counts(): GuardCounts {
    return this.#counts;
  }

  /** That the kernel does not end sockets, since it was last asked to. */
  get warning(): Warning | undefined {
    if (this.#refusal === undefined) return undefined;
    return {
      message: `a connection by a device that it may not leave by hangs: ${this.#refusal.message}`,
      hint: 'CONFIG_INET_DIAG_DESTROY is what is missing',
    };
  }

  hear(packets: readonly LoggedPacket[]): void {
    for (const packet of packets) {
      if (packet.prefix === ANSWERS_PREFIX) this.#count('answers');
      else this.#hearDropped(packet);
    }
  }

  #hearDropped({ payload, mark, ifIndexOut }: LoggedPacket): void {
    const flow = flowOf(payload);
    const isOpening = flow?.protocol === IPPROTO_TCP && !flow.midstream;
    this.#count(isOpening ? 'opening' : 'other');
    if (flow === undefined || ifIndexOut === undefined) return;
    if (isOpening) this.#end(flow, readMark(mark).way, ifIndexOut);
    const device = this.#parts.deviceName(ifIndexOut);
    this.#parts.tell({ ...flow, ...(device !== undefined && { chosenDevice: device }) }, mark);
  }

  #end(flow: Flow, way: number, deviceIndex: number): void {
    const { connections, uplinks } = this.#parts;
    const bound = { ...flow, deviceIndex };
    try {
      const chosen = connections.boundDevice(bound);
      // By now it may be the right one.
      if (chosen === undefined || uplinks().some(({ id, deviceIndex: own }) => id === way && own === chosen)) return;
      if (connections.abort(bound)) this.#count('ended');
      this.#refusal = undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#refusal = error;
    }
  }

  #count(what: keyof GuardCounts): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 };
  }
}

function flowOf(payload: Uint8Array): Flow | undefined {
  try {
    return decodePacket(payload, { loopback: false });
  } catch {
    // A packet that cannot be read is dropped all the same.
    return undefined;
  }
}
