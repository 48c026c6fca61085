/**
 * Packets that have been read and wait for their answer, apart for each socket that sends: sockets take turns, so that one
 * which asks without a pause delays nobody else by more than one answer.
 */

/** Of all sockets. What more there is stays in the kernel's queue. */
export const MAX_WAITING_PACKETS = 4096;

interface Line<T> {
  readonly packets: T[];
  /** Of those already taken. */
  taken: number;
}

export class WaitingPackets<T> {
  /** Whoever is first is next. */
  readonly #lines = new Map<string, Line<T>>();
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  get isFull(): boolean {
    return this.#size >= MAX_WAITING_PACKETS;
  }

  /** `socket`: what tells the sender from others. */
  add(socket: string, packet: T): void {
    this.#size++;
    const line = this.#lines.get(socket);
    if (line === undefined) this.#lines.set(socket, { packets: [packet], taken: 0 });
    else line.packets.push(packet);
  }

  /** The oldest packet of the socket whose turn it is. */
  next(): T | undefined {
    const first = this.#lines.entries().next();
    if (first.done === true) return undefined;
    const [socket, line] = first.value;
    const packet = line.packets[line.taken++];
    this.#size--;
    this.#lines.delete(socket);
    if (line.taken < line.packets.length) this.#lines.set(socket, line);
    return packet;
  }
}
