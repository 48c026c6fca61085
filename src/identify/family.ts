/** What an application with `children: same` begins: itself, and all that it starts. */
export interface Family {
  readonly app: string;
  /** What it starts stays its own, although a package's file names it. */
  readonly keeps: boolean;
  /** Only a package's file names its beginner: in a family that keeps its own, it begins nothing. */
  readonly yields: boolean;
}

/**
 * The family that a process is in. `begun`: those that its ancestors would begin, the nearest first; none is needed behind the first
 * that does not yield.
 */
export function familyAmong(begun: readonly Family[]): Family | undefined {
  return begun.reduceRight<Family | undefined>(
    (around, own) => (around?.keeps === true && own.yields ? around : own),
    undefined,
  );
}
