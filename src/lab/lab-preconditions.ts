import { LabError } from './lab-error.ts';
import { isLabId } from './world.ts';

export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** Throws LabError `not-root`. */
export function requireRoot(): void {
  if (!isRoot()) throw new LabError('not-root', 'the lab makes network namespaces: run it as root (sudo)');
}

/** Throws LabError `bad-id`. */
export function requireLabId(id: string): void {
  if (!isLabId(id)) {
    throw new LabError('bad-id', `a lab's id is 1 to 32 lower-case letters, digits and "-", not "${id}"`);
  }
}
