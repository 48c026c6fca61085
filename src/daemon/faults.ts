/** Mistakes of ours that nobody was there to catch, as warnings: the daemon goes on, for without it everything hangs or opens. */
import { requireDescriptors } from '../kernel/descriptor-room.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Health } from './health.ts';

/** Texts of so many different faults are told; what comes after them is, like a repetition, left out. */
const MAX_TOLD = 16;
const MAX_TEXT_LENGTH = 200;
/** Enough for what a look at everything needs at once: below it, the shortage is not over. */
const ROOM = 16;

export interface FaultsParts {
  readonly log: (line: string) => void;
  /** Stacks go into the log. */
  readonly isDebug: boolean;
}

type Told = Pick<Health, 'set' | 'clear' | 'has'>;

export class Faults {
  readonly #parts: FaultsParts;
  readonly #told = new Set<string>();
  #health: Told | undefined;
  /** Of before there was anybody to report to. */
  readonly #early: unknown[] = [];

  constructor(parts: FaultsParts) {
    this.#parts = parts;
  }

  reportTo(health: Told): void {
    this.#health = health;
    for (const fault of this.#early.splice(0)) this.hear(fault);
  }

  /** Never throws. */
  hear(fault: unknown): void {
    if (this.#health === undefined) {
      if (this.#early.length < MAX_TOLD) this.#early.push(fault);
      return;
    }
    if (isOutOfDescriptors(fault)) {
      this.#health.set('no-descriptors', {
        message: `no more files and sockets can be opened [${fault.code}]`,
        hint: 'who has so many open: ls /proc/PID/fd; the limits: prlimit --nofile --pid PID, and fs.file-max',
      });
      return;
    }
    const text = textOf(fault);
    if (this.#told.has(text) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(text);
    this.#health.set('internal-error', {
      message: text,
      hint: 'this is a fault of pointsman: start it with POINTSMAN_DEBUG=1 and report what it logs',
    });
    if (this.#parts.isDebug) this.#parts.log(`pointsman: ${stackOf(fault)}`);
  }

  /** Whether what was short is there again. */
  look(): boolean {
    const health = this.#health;
    if (health === undefined || !health.has('no-descriptors')) return false;
    try {
      requireDescriptors(ROOM, 'open');
      health.clear('no-descriptors');
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return false;
    }
  }
}

export function isOutOfDescriptors(fault: unknown): fault is NodeJS.ErrnoException {
  return fault instanceof Error && 'code' in fault && (fault.code === 'EMFILE' || fault.code === 'ENFILE');
}

/** With the place in our code, as a report needs it. */
function textOf(fault: unknown): string {
  const text = fault instanceof Error ? `${fault.name}: ${fault.message}` : String(fault);
  const place = fault instanceof Error ? /\/([\w.-]+\.[jt]s:\d+):\d+\)?$/m.exec(fault.stack ?? '')?.[1] : undefined;
  const line = text.replaceAll(/\s+/g, ' ');
  const short = line.length > MAX_TEXT_LENGTH ? `${line.slice(0, MAX_TEXT_LENGTH)}...` : line;
  return place === undefined ? short : `${short} (${place})`;
}

function stackOf(fault: unknown): string {
  return fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
}
