/** Which policies may be about what user-mode networking carries. Pure. */
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import type { ProcessOwner } from './identity.ts';
import { type AppIndex, type AppMatch, matchUser } from './match-app.ts';

/** Of more it is not worked out which is the strictest: the flow is refused. */
export const MAX_POLICIES_BEHIND = 1024;

/** `user-1000.slice`, wherever it stands in a path, and `user@1000.service`. */
const OF_USER = /(?:^|\/)(?:user-(\d+)\.slice(?:\/|$)|user@(\d+)\.service(?:\/|$))/;

/** Whether such a program may be decided about otherwise than one that no policy names. */
export function weighsUserModeNetworks({ apps, systemDefault }: Pick<PolicySet, 'apps' | 'systemDefault'>): boolean {
  const word = systemDefault.userModeNetworking?.word ?? 'strictest';
  return word === 'deny' || (word === 'strictest' && apps.length > 0);
}

/**
 * The policies, each once, of whatever can be in a namespace that a program of this user serves: any that tells programs by what any user
 * may run or enter. Not those of other users, and of what only they can be in. Root can serve anybody.
 */
export function policiesBehind(
  index: AppIndex,
  { uid }: Pick<ProcessOwner, 'uid'>,
  { users }: Pick<Facts, 'users'>,
): readonly EffectivePolicy[] {
  const found = new Set<EffectivePolicy>();
  const add = (entries: Iterable<AppMatch>): void => {
    for (const { policy } of entries) found.add(policy);
  };
  const mayEnter = ([path]: readonly [string, AppMatch]): boolean => isOpenTo(path, uid);
  for (const map of [index.byScript, index.byExecutable, index.byParent, index.byContainer, index.byFlatpak])
    add(map.values());
  for (const map of [index.bySnap, index.byDesktop, index.byGroup]) add(map.values());
  for (const map of [index.byCgroup, index.byUnit]) add([...map].filter(mayEnter).map(([, match]) => match));
  const ofUser = matchUser(index, uid, users);
  add(uid === 0 ? index.byUser.values() : ofUser === undefined ? [] : [ofUser]);
  return [...found];
}

/** A user's slice, and his service manager, hold that user's programs. */
function isOpenTo(cgroupOrUnit: string, uid: number): boolean {
  const [, ofSlice, ofService] = OF_USER.exec(cgroupOrUnit) ?? [];
  const owner = ofSlice ?? ofService;
  return owner === undefined || uid === 0 || Number(owner) === uid;
}
