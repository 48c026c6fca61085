/** Which policies may be about what user-mode networking carries. Pure. */
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import type { ProcessOwner } from './identity.ts';
import { type AppIndex, type AppMatch, matchUser } from './match-app.ts';
import { INDEX_MAPS } from './told-by.ts';

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
  const ofUser = matchUser(index, uid, users);
  const behind = (map: keyof AppIndex): Iterable<AppMatch> => {
    switch (OPEN_TO[map]) {
      case 'any user':
        return index[map].values();
      case 'users by path':
        return [...index[map]].filter(mayEnter).map(([, match]) => match);
      case 'nobody':
        return [];
      case 'that user':
        return uid === 0 ? index[map].values() : ofUser === undefined ? [] : [ofUser];
    }
  };
  for (const map of INDEX_MAPS) add(behind(map));
  return [...found];
}

/** Who can be what the entries of a map name. */
const OPEN_TO = {
  byScript: 'any user',
  byExecutable: 'any user',
  byParent: 'any user',
  byCgroup: 'users by path',
  byUnit: 'users by path',
  byContainer: 'any user',
  byFlatpak: 'any user',
  bySnap: 'any user',
  byDesktop: 'any user',
  byUser: 'that user',
  byGroup: 'any user',
  byKernel: 'nobody',
} as const satisfies Readonly<Record<keyof AppIndex, string>>;

/** A user's slice, and his service manager, hold that user's programs. */
function isOpenTo(cgroupOrUnit: string, uid: number): boolean {
  const [, ofSlice, ofService] = OF_USER.exec(cgroupOrUnit) ?? [];
  const owner = ofSlice ?? ofService;
  return owner === undefined || uid === 0 || Number(owner) === uid;
}
