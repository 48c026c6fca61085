/** Faults of another thread: what of an error can be sent, and how often. */

/** Different faults that are told; further ones, and repetitions within the time below, are not. */
const MAX_NOTED = 64;
const AGAIN_AFTER_MS = 10_000;

export interface FaultNote {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** Symbolic errno, where it has one. */
  readonly code?: string;
}

/** So that a fault with each packet is no flood of messages. */
export class FaultNotes {
  readonly #monotonicMs: () => number;
  readonly #notedMs = new Map<string, number>();

  constructor(monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
  }

  /** Undefined where it has been told a moment ago. */
  note(fault: unknown): FaultNote | undefined {
    const error = fault instanceof Error ? fault : new Error(String(fault));
    const { name, message, stack = '' } = error;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
    const key = `${name} ${code ?? message}`;
    const nowMs = this.#monotonicMs();
    const before = this.#notedMs.get(key);
    if (before === undefined && this.#notedMs.size >= MAX_NOTED) return undefined;
    if (before !== undefined && nowMs - before < AGAIN_AFTER_MS) return undefined;
    this.#notedMs.set(key, nowMs);
    return { name, message, stack, ...(code !== undefined && { code }) };
  }
}

/** As in the thread where it was thrown. */
export function faultOf({ name, message, stack, code }: FaultNote): Error {
  return Object.assign(new Error(message), { name, stack, ...(code !== undefined && { code }) });
}
