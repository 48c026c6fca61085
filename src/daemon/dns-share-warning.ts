/** Who has lately been refused more than his share of the relay of queries. */
import type { MonotonicMs } from '../net/clock.ts';
import type { DnsShare } from './dns-relay.ts';
import type { Warning } from './health.ts';

/** After the last refusal. */
export const SHARE_FULL_FOR_MS = 60_000;
const MAX_USERS = 64;
const SHOWN_USERS = 5;

const WHAT: Record<DnsShare, string> = { queries: 'queries under way', connections: 'connections' };

export class DnsShareWarning {
  /** By user and what he was refused; whoever was refused last is the last. */
  readonly #refused = new Map<string, { readonly uid: number; readonly share: DnsShare; readonly atMs: MonotonicMs }>();

  /** Whether it is news. */
  note(uid: number, share: DnsShare, atMs: MonotonicMs): boolean {
    const key = `${uid} ${share}`;
    const isNews = !this.#refused.delete(key);
    this.#refused.set(key, { uid, share, atMs });
    const [oldest] = this.#refused.keys();
    if (oldest !== undefined && this.#refused.size > MAX_USERS) this.#refused.delete(oldest);
    return isNews;
  }

  /** Undefined where nobody was for a while. */
  warning(nowMs: MonotonicMs): Warning | undefined {
    for (const [key, { atMs }] of this.#refused) if (nowMs - atMs >= SHARE_FULL_FOR_MS) this.#refused.delete(key);
    if (this.#refused.size === 0) return undefined;
    const users = [...this.#refused.values()].toSorted((a, b) => a.uid - b.uid || (a.share < b.share ? -1 : 1));
    const shown = users.slice(0, SHOWN_USERS).map(({ uid, share }) => `${userText(uid)} (${WHAT[share]})`);
    const more = users.length > SHOWN_USERS ? ` and ${users.length - SHOWN_USERS} more` : '';
    return {
      message: `users who ask for more than their share of DNS are refused the rest: ${shown.join(', ')}${more}`,
      hint: 'ss -tunp dport = :53 shows who asks',
    };
  }
}

const userText = (uid: number): string => (uid < 0 ? 'programs that close their sockets at once' : `uid ${uid}`);
