/** What the machine is, as far as a plan depends on it: read elsewhere, plain data here. */
import type { Family } from '../net/address.ts';

/** A cgroup that some policy names, as it exists now. `level` counts from the cgroup2 root (`/a/b` is level 2). */
export interface ResolvedCgroup {
  readonly path: string;
  readonly id: bigint;
  readonly level: number;
}

/** How sockets are marked by what makes them. */
export interface Programs {
  /** `programName` -> number, PROGRAM_FIRST to PROGRAM_LAST. One that is absent is not told by the kernel. */
  readonly numbers: ReadonlyMap<string, number>;
  /** The number that says now: no policy names it, and its cgroup is one of those known. */
  readonly none: number;
}

export interface Host {
  /** Paths of existing cgroups, for `cgroup` matches by path and for `unit` matches by their last component. */
  readonly cgroups: readonly ResolvedCgroup[];
  /** Which queue this kernel offers. */
  readonly queue: 'nft' | 'xtables';
  /** First preference of our routing rules, where somebody's rule has them elsewhere than from RULE_PREF_LOCAL on. */
  readonly rulesFrom?: number;
  /** Families for which no route of others leads everywhere. Absent: none. */
  readonly noDefault?: readonly Family[];
  /** Absent: sockets are not marked, and nothing in the kernel tells an executable. */
  readonly programs?: Programs;
}
