import { KernelError } from './kernel-error.ts';

/** The process's own limit, the system's, and no memory: nothing is said of what was to be opened. */
const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** Whether the machine lacks something at the moment, so that a refusal tells nothing of its object. */
export function isShortage(error: unknown): boolean {
  return SHORTAGES.has(codeOf(error));
}

/** For reads that take every refusal for "nothing is there": a shortage is none. Throws KernelError. */
export function throwShortage(error: unknown, operation: string, object: string): void {
  if (!isShortage(error)) return;
  if (error instanceof KernelError) throw error;
  const { errno = 0, message } = error as NodeJS.ErrnoException;
  throw new KernelError(operation, Math.abs(errno), codeOf(error), object, message, { cause: error });
}
