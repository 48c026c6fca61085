/**
 * Which MAC addresses gateways have, by the kernel's neighbour table. Who is not in it is asked for, and who has not been heard of
 * for a while is asked for again, at a bounded pace. An address that was known stays known for as long as the link keeps its
 * carrier: a gateway that is silent for a moment is the same gateway. After a loss nothing counts that was known before, also where
 * the loss was too short for the kernel to forget it: who is there now has to say so himself.
 */
import type { Background } from '../kernel/background.ts';
import type { Neighbours } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { type Neighbour, type NeighbourKey, neighbourText } from '../netlink/neighbour.ts';

/** Whoever does not answer is asked again after this time, then after twice as long, and so on. */
export const FIRST_RETRY_MS = 1000;
/** At most; and so often somebody is asked again who was known and has not been heard of since. */
export const ASK_EVERY_MS = 30_000;
/** Somebody who answers in other people's place keeps us no busier than this. */
export const TELL_EVERY_MS = 500;
/** Of so many links it is remembered how often they have lost their carrier; of others the kernel is believed. */
const MAX_LINKS = 256;

/** A gateway by one link, from one loss of the carrier to the next. */
export interface Gateway extends NeighbourKey {
  /** See `Link`. */
  readonly carrierLosses: number;
}

export interface GatewayMacsOptions {
  readonly background: Background;
  readonly neighbours: Neighbours;
  /** By a clock that nobody sets. */
  readonly nowMs: () => number;
  /** A gateway that is followed has another address than before, or has one now. */
  readonly onChange: () => void;
}

interface Entry {
  readonly gateway: Gateway;
  /** What the kernel has confirmed before is of another network. */
  readonly sinceMs: number;
  mac: string | undefined;
  /** Since the address was last known to the kernel. */
  asks: number;
  dueMs: number;
}

export class GatewayMacs implements Disposable {
  readonly #options: GatewayMacsOptions;
  #entries = new Map<string, Entry>();
  /** By the index of a link, the last that was seen. */
  readonly #carrierLosses = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #telling: NodeJS.Timeout | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isDisposed = false;

  constructor(options: GatewayMacsOptions) {
    this.#options = options;
  }

  /** These from now on, and no others; what is known of them is read anew. */
  follow(gateways: readonly Gateway[]): void {
    const before = this.#entries;
    const nowMs = this.#options.nowMs();
    this.#entries = new Map(
      gateways.map((gateway) => {
        const key = keyOf(gateway);
        const sinceMs = this.#hasLostCarrier(gateway) ? nowMs : Number.NEGATIVE_INFINITY;
        return [key, before.get(key) ?? { gateway, sinceMs, mac: undefined, asks: 0, dueMs: nowMs }];
      }),
    );
    for (const gateway of gateways) this.#remember(gateway);
    for (const entry of this.#entries.values()) this.#look(entry, nowMs);
    this.#arm();
  }

  /** Undefined where it is not known, and where nobody follows it. */
  macOf(gateway: Gateway): string | undefined {
    return this.#entries.get(keyOf(gateway))?.mac;
  }

  /** Whose news `hear` wants. */
  get watched(): readonly NeighbourKey[] {
    return Array.from(this.#entries.values(), ({ gateway }) => gateway);
  }

  /** What the kernel says by itself. */
  hear(neighbours: readonly Neighbour[]): void {
    const nowMs = this.#options.nowMs();
    let hasChanged = false;
    for (const entry of this.#entries.values()) {
      const news = neighbours.filter((neighbour) => isSame(neighbour, entry.gateway));
      // That somebody known is asked, or answers, happens all the time.
      if (news.every(({ hardwareAddress }) => hardwareAddress !== undefined && hardwareAddress === entry.mac)) continue;
      if (this.#look(entry, nowMs)) hasChanged = true;
    }
    this.#arm();
    if (hasChanged) this.#tell();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#telling);
  }

  /** Whether the address is another one now. */
  #look(entry: Entry, nowMs: number): boolean {
    const before = entry.mac;
    const neighbour = this.#find(entry.gateway);
    const mac = neighbour?.hardwareAddress;
    if (mac === undefined || neighbour === undefined || !isOfNow(neighbour, entry, nowMs)) {
      // Who was known a moment ago is asked for at once.
      if (entry.asks === 0 || entry.dueMs <= nowMs) this.#ask(entry, nowMs);
      return false;
    }
    entry.mac = mac;
    entry.asks = 0;
    if (!neighbour.isStale) entry.dueMs = nowMs + ASK_EVERY_MS;
    else if (entry.dueMs <= nowMs) {
      this.#resolve(entry.gateway);
      entry.dueMs = nowMs + ASK_EVERY_MS;
    }
    return mac !== before;
  }

  #hasLostCarrier({ linkIndex, carrierLosses }: Gateway): boolean {
    return (this.#carrierLosses.get(linkIndex) ?? carrierLosses) !== carrierLosses;
  }

  #remember({ linkIndex, carrierLosses }: Gateway): void {
    this.#carrierLosses.delete(linkIndex);
    this.#carrierLosses.set(linkIndex, carrierLosses);
    const [oldest] = this.#carrierLosses.keys();
    if (this.#carrierLosses.size > MAX_LINKS && oldest !== undefined) this.#carrierLosses.delete(oldest);
  }

  #ask(entry: Entry, nowMs: number): void {
    this.#resolve(entry.gateway);
    entry.dueMs = nowMs + Math.min(FIRST_RETRY_MS * 2 ** entry.asks, ASK_EVERY_MS);
    entry.asks += 1;
  }

  #find(gateway: Gateway): Neighbour | undefined {
    try {
      return this.#options.neighbours.find(gateway);
    } catch (error) {
      // Ignoring it: a kernel that does not tell tells nothing.
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  #resolve(gateway: Gateway): void {
    try {
      this.#options.neighbours.resolve(gateway);
    } catch (error) {
      // Ignoring it: the link may have gone, and the next look comes.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#entries.size === 0 || this.#isDisposed) return;
    const dueMs = Math.min(...Array.from(this.#entries.values(), (entry) => entry.dueMs));
    const waitMs = Math.max(dueMs - this.#options.nowMs(), FIRST_RETRY_MS);
    this.#timer = this.#options.background.timeout(() => this.#lookAtDue(), waitMs).unref();
  }

  #lookAtDue(): void {
    const nowMs = this.#options.nowMs();
    const due = [...this.#entries.values()].filter(({ dueMs }) => dueMs <= nowMs);
    const changed = due.filter((entry) => this.#look(entry, nowMs));
    this.#arm();
    if (changed.length > 0) this.#tell();
  }

  #tell(): void {
    if (this.#telling !== undefined) return;
    const tell = (): void => {
      this.#telling = undefined;
      this.#toldMs = this.#options.nowMs();
      this.#options.onChange();
    };
    const waitMs = this.#toldMs + TELL_EVERY_MS - this.#options.nowMs();
    if (waitMs <= 0) tell();
    else this.#telling = this.#options.background.timeout(tell, waitMs).unref();
  }
}

const isOfNow = (
  { isPermanent, confirmedAgoMs = Number.POSITIVE_INFINITY }: Neighbour,
  { sinceMs }: Entry,
  nowMs: number,
): boolean => isPermanent || sinceMs === Number.NEGATIVE_INFINITY || nowMs - confirmedAgoMs >= sinceMs;

const keyOf = (gateway: Gateway): string => `${neighbourText(gateway)} ${gateway.carrierLosses}`;

const isSame = (a: NeighbourKey, b: NeighbourKey): boolean => neighbourText(a) === neighbourText(b);
