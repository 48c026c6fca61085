/** Some answers cost a tenth of a second of the daemon: of each user but root only so many are worked on at a time, the others wait. */

export const WORKED_ON_OF_USER = 2;
const ROOT = 0;

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

export class RequestTurns {
  readonly #lines = new Map<number, Line>();

  /** `isWanted` is asked when its turn comes: what nobody waits for any more is not done, and gives undefined. */
  async run<T>(uid: number, isWanted: () => boolean, work: () => Promise<T>): Promise<T | undefined> {
    if (uid === ROOT) return await work();
    const line = this.#lines.get(uid) ?? { running: 0, waiting: [] };
    this.#lines.set(uid, line);
    if (line.running >= WORKED_ON_OF_USER) await new Promise<void>((resolve) => line.waiting.push(resolve));
    else line.running += 1;
    try {
      return isWanted() ? await work() : undefined;
    } finally {
      const next = line.waiting.shift();
      // The place goes to who waits for it.
      if (next !== undefined) next();
      else line.running -= 1;
      if (line.running === 0) this.#lines.delete(uid);
    }
  }
}
