/**
 * Packets that have been read and wait for their answer. Users take turns, and of each user his sockets: nobody who asks without a
 * pause, from however many sockets, delays anybody else by more than one answer. Nobody takes all the room there is, either.
 */

/** Of all users. As many again may be held in the kernel's queue, which has room for both. */
export const MAX_WAITING_PACKETS = 2048;
export const MAX_WAITING_PACKETS_OF_USER = 1024;

interface Line<T> {
  readonly packets: T[];
  /** Of those already taken. */
  taken: number;
}

interface Asker<T> {
  /** By socket; whoever is first is next. */
  readonly lines: Map<string, Line<T>>;
  size: number;
}

/** Whose packet finds no room any more: the one that was to be added, or one of a user who has more of them. */
export interface GivenUp<T> {
  readonly user: number;
  readonly packet: T;
}

export class WaitingPackets<T> {
  /** Whoever is first is next. */
  readonly #askers = new Map<number, Asker<T>>();
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** `user`: a uid, or what else stands for a sender. `socket`: what tells it from others of the user. */
  add(user: number, socket: string, packet: T): GivenUp<T> | undefined {
    const size = this.#askers.get(user)?.size ?? 0;
    if (size >= MAX_WAITING_PACKETS_OF_USER) return { user, packet };
    const givenUp = this.#size < MAX_WAITING_PACKETS ? undefined : this.#takeFromMost(size + 1);
    if (this.#size >= MAX_WAITING_PACKETS) return { user, packet };
    const asker = this.#askers.get(user) ?? { lines: new Map(), size: 0 };
    this.#askers.set(user, asker);
    const line = asker.lines.get(socket);
    if (line === undefined) asker.lines.set(socket, { packets: [packet], taken: 0 });
    else line.packets.push(packet);
    asker.size++;
    this.#size++;
    return givenUp;
  }

  /** The oldest packet of the socket whose turn it is. */
  next(): T | undefined {
    for (const [user, asker] of this.#askers) {
      const packet = this.#takeFirst(user, asker);
      // Behind everybody else.
      if (this.#askers.delete(user) && asker.size > 0) this.#askers.set(user, asker);
      return packet;
    }
    return undefined;
  }

  #takeFirst(user: number, asker: Asker<T>): T | undefined {
    for (const [socket, line] of asker.lines) {
      const packet = line.packets[line.taken++];
      asker.lines.delete(socket);
      if (line.taken < line.packets.length) asker.lines.set(socket, line);
      this.#countTaken(user, asker);
      return packet;
    }
    return undefined;
  }

  /** Nobody who has no more than `size`, so that two who have as many do not take it from one another for ever. */
  #takeFromMost(size: number): GivenUp<T> | undefined {
    let most: readonly [number, Asker<T>] | undefined;
    for (const entry of this.#askers) if (entry[1].size > (most?.[1].size ?? size)) most = entry;
    if (most === undefined) return undefined;
    const [user, asker] = most;
    const packet = this.#takeFirst(user, asker);
    return packet === undefined ? undefined : { user, packet };
  }

  #countTaken(user: number, asker: Asker<T>): void {
    asker.size--;
    this.#size--;
    if (asker.size === 0) this.#askers.delete(user);
  }
}
