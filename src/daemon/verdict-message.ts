/** What the main thread and the verdict thread say to each other; all of it survives structured cloning. */
import type { MessagePort } from 'node:worker_threads';
import type { SocketMarksHandle } from '../kernel/socket-marks.ts';
import type { FaultNote } from './fault-notes.ts';
import type { EventBatch } from './verdict-reporter.ts';
import type { SnapshotUpdate, VerdictSnapshot } from './verdict-snapshot.ts';
import type { VerdictCounts } from './verdict-stats.ts';

/**
 * `wakeFd`: an eventfd that is signalled after each message. `told`: counts the messages, so that what was said before a packet
 * was sent is known when it is decided. `read`: see VerdictReporter.
 */
export interface VerdictThreadStart {
  readonly port: MessagePort;
  readonly wakeFd: number;
  readonly told: SharedArrayBuffer;
  readonly read: SharedArrayBuffer;
  readonly queueNumber: number;
  readonly snapshot: VerdictSnapshot;
  /** Absent where sockets are not marked. */
  readonly marks?: SocketMarksHandle;
  /** A group of fanotify(7) that asks about listed scripts; only with `marks`. */
  readonly scriptsFd?: number;
  /** Counted up as a sign of life, every half second at least. */
  readonly beats: SharedArrayBuffer;
  /** The descriptor of the packet queue while the thread has it open, else `NO_QUEUE`. */
  readonly queueFd: SharedArrayBuffer;
}

export const NO_QUEUE = -1;

export interface VerdictStats extends VerdictCounts {
  /** Events that the main thread was too slow to take. */
  readonly eventsLost: number;
}

export type ToVerdictThread =
  | { readonly kind: 'update'; readonly update: SnapshotUpdate }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'stop' };

export type FromVerdictThread =
  | { readonly kind: 'ready' }
  /** A refusal of the kernel: an error object would lose its fields on the way. */
  | { readonly kind: 'refused'; readonly operation: string; readonly errno: number; readonly object: string }
  | ({ readonly kind: 'events' } & EventBatch)
  | ({ readonly kind: 'fault' } & FaultNote)
  | { readonly kind: 'resolve'; readonly name: string }
  /** Asks for more than his share; negative where it is no user of this machine. */
  | { readonly kind: 'share full'; readonly uid: number }
  /** From here on every answer is by this snapshot or a later one. */
  | { readonly kind: 'published'; readonly revision: number }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: VerdictStats };
