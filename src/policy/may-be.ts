/** Which policies a sender may belong to of whom not all is known that they tell programs apart by. */
import type { EffectivePolicy } from './effective-policy.ts';
import type { SingleOwner } from './identity.ts';
import type { AppIndex, AppMatch } from './match-app.ts';

/** Each is decided about for every flow that is asked about; where there are more, it is refused. */
export const MAX_POLICIES_WEIGHED = 1024;

/** What nothing is known of may be any of these, whatever its user and cgroup are. */
function* programs({ byScript, byExecutable, byParent }: AppIndex): Generator<AppMatch> {
  yield* byScript.values();
  yield* byExecutable.values();
  yield* byParent.values();
}

/** In a cgroup below this one, or in any. */
function* cgroupsBelow(index: AppIndex, above: string | undefined): Generator<AppMatch> {
  const prefix = above === undefined || above === '/' ? '/' : `${above}/`;
  for (const [path, match] of index.byCgroup) if (path.startsWith(prefix)) yield match;
  for (const named of [index.byUnit, index.byContainer, index.byFlatpak, index.bySnap, index.byDesktop])
    yield* named.values();
}

function* matches(index: AppIndex, owner: SingleOwner): Generator<AppMatch> {
  if (owner.kind === 'kernel') return;
  const { cgroup, cgroupGone, uid, gid } = owner;
  const isUnknown = owner.kind === 'unknown';
  if (isUnknown) yield* programs(index);
  if (cgroupGone === true || (isUnknown && cgroup === undefined)) yield* cgroupsBelow(index, cgroup);
  if (isUnknown && uid === undefined) yield* index.byUser.values();
  if (isUnknown && gid === undefined) yield* index.byGroup.values();
}

/** Besides what its known traits lead to; `too many`: more than are weighed. */
export function mayBelongTo(index: AppIndex, owner: SingleOwner): readonly EffectivePolicy[] | 'too many' {
  const found = new Set<EffectivePolicy>();
  for (const { policy } of matches(index, owner)) {
    found.add(policy);
    if (found.size > MAX_POLICIES_WEIGHED) return 'too many';
  }
  return [...found];
}
