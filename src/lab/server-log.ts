/** What the lab's servers saw, one JSON line each: the proof of which address really arrived. */
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';

export interface Seen {
  readonly timeMs: number;
  readonly protocol: 'tcp' | 'udp';
  /** The server's address and port. */
  readonly server: string;
  readonly port: number;
  /** The other end's address as it arrived. */
  readonly client: string;
  /** The name that a DNS query asked for. */
  readonly question?: string;
}

/** Beyond this size nothing more is written: the lab may stay up for days. */
export const MAX_SEEN_LOG_BYTES: number = 32 * 1024 * 1024;
const MAX_READ_BYTES = 4 * 1024 * 1024;

/** Returns the append function. Lines are written before the server answers, so a client that got an answer finds its own. */
export function openSeenLog(path: string): (seen: Seen) => void {
  const fd = openSync(path, 'a', 0o644);
  let sizeBytes = fstatSync(fd).size;
  return (seen) => {
    if (sizeBytes > MAX_SEEN_LOG_BYTES) return;
    sizeBytes += writeSync(fd, `${JSON.stringify(seen)}\n`);
  };
}

/** Size now: the place to read from later. 0 where there is no log yet. */
export function seenLogEnd(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Complete lines from `offset` on, at most MAX_READ_BYTES of them. */
export function readSeenLog(path: string, offset: number): readonly Seen[] {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(Math.max(fstatSync(fd).size - offset, 0), MAX_READ_BYTES));
    const text = bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset)).toString('utf8');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter(Boolean).map((line) => JSON.parse(line) as Seen);
  } finally {
    closeSync(fd);
  }
}
