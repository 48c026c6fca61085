/** What the machine is, as far as a plan depends on it: read elsewhere, plain data here. */

/** A cgroup that some policy names, as it exists now. `level` counts from the cgroup2 root (`/a/b` is level 2). */
export interface ResolvedCgroup {
  readonly path: string;
  readonly id: bigint;
  readonly level: number;
}

export interface Host {
  /** Paths of existing cgroups, for `cgroup` matches by path and for `unit` matches by their last component. */
  readonly cgroups: readonly ResolvedCgroup[];
  /** Which queue this kernel offers. */
  readonly queue: 'nft' | 'xtables';
}
