/** Which profiles hold at a moment. Pure. */
import type { UplinkState } from './facts.ts';
import type { LocalTime, Profile, ProfileCondition } from './model.ts';
import { isInWindow } from './time-window.ts';

export interface ProfileFacts {
  readonly uplinks: readonly UplinkState[];
  readonly time: LocalTime;
}

function holds({ uplinks, times }: ProfileCondition, facts: ProfileFacts): boolean {
  const isUp = (name: string): boolean => facts.uplinks.some((state) => state.name === name && state.up);
  if (uplinks !== undefined && !uplinks.some(isUp)) return false;
  return times === undefined || times.some((window) => isInWindow(window, facts.time));
}

/** Sorted names. */
export function activeProfiles(profiles: readonly Profile[], facts: ProfileFacts): readonly string[] {
  return profiles
    .filter(({ when }) => when.some((condition) => holds(condition, facts)))
    .map(({ name }) => name)
    .sort();
}
