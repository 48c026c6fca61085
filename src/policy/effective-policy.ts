/**
 * What is in force for one application after merging the layers; every value knows the file and line it came from.
 * Immutable: the compiler caches what it made of one by object identity, so an unchanged application costs nothing.
 */
import type { Accept, Children, Layer, Match, Otherwise, Rule, SystemDefault, Uplink, Via } from './model.ts';

export interface EffectiveRule extends Rule {
  readonly layer: Layer;
}

export interface Stated<T> {
  readonly value: T;
  readonly layer: Layer;
}

export interface EffectivePolicy {
  readonly app: string;
  readonly name?: string;
  readonly match: readonly Match[];
  /** In the order in which they are tried. */
  readonly rules: readonly EffectiveRule[];
  /** Absent: the system default decides. */
  readonly otherwise?: Stated<Otherwise>;
  /** Holds for every allow that states no `via` of its own. */
  readonly via?: Stated<Via>;
  /** Absent: the system default says who may connect. */
  readonly accept?: Stated<Accept>;
  /** Absent: `own`. */
  readonly children?: Stated<Children>;
  /** Set where the application's file is broken and no last good one exists: everything is refused. */
  readonly blocked?: { readonly because: string };
  /** The files that made it, strongest layer first. */
  readonly files: readonly { readonly file: string; readonly layer: Layer }[];
}

/** All that `decide` and `compile` need of the files: one immutable snapshot. `apps` is sorted by `app`. */
export interface PolicySet {
  readonly apps: readonly EffectivePolicy[];
  readonly systemDefault: SystemDefault;
  readonly uplinks: readonly Uplink[];
}
