/** Which policies a sender may belong to of whom not all is known that they tell programs apart by. */
import type { EffectivePolicy } from './effective-policy.ts';
import type { ProcessOwner, SingleOwner, UnknownOwner } from './identity.ts';
import type { AppIndex, AppMatch } from './match-app.ts';
import { INDEX_MAPS, TOLD_BY } from './told-by.ts';

/** Each is decided about for every flow that is asked about; where there are more, it is refused. */
export const MAX_POLICIES_WEIGHED = 1024;

/** Of one map. What nothing is known of may be any program, whatever its user and cgroup are. */
function inMap(index: AppIndex, map: keyof AppIndex, owner: ProcessOwner | UnknownOwner): Iterable<AppMatch> {
  const { cgroup, cgroupGone, uid, gid } = owner;
  const isUnknown = owner.kind === 'unknown';
  const all = index[map].values();
  switch (TOLD_BY[map]) {
    case 'program':
      return isUnknown ? all : [];
    case 'cgroup path':
      return cgroupGone || (isUnknown && cgroup === undefined) ? below(index[map], cgroup) : [];
    case 'cgroup name':
      return cgroupGone || (isUnknown && cgroup === undefined) ? all : [];
    case 'user':
      return isUnknown && uid === undefined ? all : [];
    case 'group':
      return isUnknown && gid === undefined ? all : [];
    // Of what no process sends that is known: whoever is unknown here had a socket that a process asked for.
    case 'no process':
      return [];
  }
}

/** In a cgroup below this one, or in any. */
function* below(paths: ReadonlyMap<string, AppMatch>, above: string | undefined): Generator<AppMatch> {
  const prefix = above === undefined || above === '/' ? '/' : `${above}/`;
  for (const [path, match] of paths) if (path.startsWith(prefix)) yield match;
}

function matches(index: AppIndex, owner: SingleOwner): readonly Iterable<AppMatch>[] {
  switch (owner.kind) {
    case 'kernel':
      return [];
    case 'process':
    case 'unknown':
      return INDEX_MAPS.map((map) => inMap(index, map, owner));
  }
}

/** Besides what its known traits lead to; `too many`: more than are weighed. */
export function mayBelongTo(index: AppIndex, owner: SingleOwner): readonly EffectivePolicy[] | 'too many' {
  const found = new Set<EffectivePolicy>();
  for (const entries of matches(index, owner)) {
    for (const { policy } of entries) {
      found.add(policy);
      if (found.size > MAX_POLICIES_WEIGHED) return 'too many';
    }
  }
  return [...found];
}
