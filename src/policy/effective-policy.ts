/**
 * What is in force for one application after merging the layers; every value knows the file and line it came from.
 * Immutable: the compiler caches what it made of one by object identity, so an unchanged application costs nothing.
 */
import type {
  Accept,
  Children,
  Duration,
  Existing,
  Layer,
  Match,
  Otherwise,
  Rule,
  SourceLocation,
  SystemDefault,
  Uplink,
  Via,
} from './model.ts';

export interface EffectiveRule extends Rule {
  readonly layer: Layer;
}

export interface Stated<T> {
  readonly value: T;
  readonly layer: Layer;
}

export interface StatedWord<T extends string> extends Stated<T> {
  readonly at: SourceLocation;
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
  /**
   * What becomes of live connections that an uplink was chosen for. `keep`: they stay on it until they end. `drain`: they stay
   * while it works, and are ended when it is down. `abort`: they are ended as soon as another would be chosen for them now.
   * Absent: `keep`.
   */
  readonly existing?: StatedWord<Existing>;
  /** `long`: never moved to a better uplink while their own works, so that `abort` acts as `drain`. Absent: `short`. */
  readonly duration?: StatedWord<Duration>;
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
