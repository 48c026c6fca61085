/**
 * Flows of datagrams that a change of policy has refused, and what their marks said before: refused ones look alike, also those that
 * came in. Where policies permit one again conntrack has to forget it, or it stays refused for as long as somebody sends.
 */
import { flowKey } from '../net/flow.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { type FlowMark, readMark } from '../plan/flow-mark.ts';
import { isConnection } from './live-flows.ts';

/** Of more, those refused last are not known again: they stay refused until nobody has sent for as long as conntrack remembers. */
export const MAX_REFUSED_DATAGRAMS = 65_536;

export class RefusedDatagrams {
  #marks = new Map<string, FlowMark>();

  /** Before its mark is another one. */
  refuse(entry: ConntrackEntry): void {
    if (isConnection(entry.original) || this.#marks.size >= MAX_REFUSED_DATAGRAMS) return;
    this.#marks.set(keyOf(entry), readMark(entry.mark));
  }

  /** What its mark said; undefined of a flow that nobody has refused since this daemon began. */
  markOf(entry: ConntrackEntry): FlowMark | undefined {
    return this.#marks.get(keyOf(entry));
  }

  /** Of these entries those are kept that are still there. */
  keepOnly(entries: readonly ConntrackEntry[]): void {
    if (this.#marks.size === 0) return;
    const here = new Set(entries.map(keyOf));
    this.#marks = new Map([...this.#marks].filter(([key]) => here.has(key)));
  }
}

/** The kernel's number of an entry may be another's once that has gone. */
const keyOf = ({ id, original }: ConntrackEntry): string => `${id} ${flowKey({ ...original, loopback: false })}`;
