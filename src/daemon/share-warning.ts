/** Who has lately been refused more than his share of something that users share. */
import type { MonotonicMs } from '../net/clock.ts';
import type { Warning } from './health.ts';

/** After the last refusal. */
export const SHARE_FULL_FOR_MS = 60_000;
const MAX_USERS = 64;
const SHOWN_USERS = 5;

export interface ShareWarningText<Share extends string> {
  /** Who it is where it is no user. */
  readonly nobody: string;
  /** What a user is refused: `uid 1000 (queries under way)`. */
  readonly of: Record<Share, string>;
  /** What stands before the users. */
  readonly message: string;
  readonly hint: string;
}

export class ShareWarning<Share extends string> {
  readonly #text: ShareWarningText<Share>;
  /** By user and what he was refused; whoever was refused last is the last. */
  readonly #refused = new Map<string, { readonly uid: number; readonly share: Share; readonly atMs: MonotonicMs }>();

  constructor(text: ShareWarningText<Share>) {
    this.#text = text;
  }

  /** Whether it is news. A negative `uid` stands for who is no user. */
  note(uid: number, share: Share, atMs: MonotonicMs): boolean {
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
    const shown = users
      .slice(0, SHOWN_USERS)
      .map(({ uid, share }) => `${userText(uid, this.#text.nobody)} (${this.#text.of[share]})`);
    const more = users.length > SHOWN_USERS ? ` and ${users.length - SHOWN_USERS} more` : '';
    return { message: `${this.#text.message}: ${shown.join(', ')}${more}`, hint: this.#text.hint };
  }
}

const userText = (uid: number, nobody: string): string => (uid < 0 ? nobody : `uid ${uid}`);
