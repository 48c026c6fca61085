/** Which ways can be taken while one ruleset gives way to the next. Pure. */
import type { UplinkState } from '../policy/facts.ts';

/** What of `after` was there in `before` as well; `after` itself where that is all of it. Uplinks are the same by their ids. */
export function takeableUplinks(before: readonly UplinkState[], after: readonly UplinkState[]): readonly UplinkState[] {
  const old = new Map(before.map((state) => [state.id, state]));
  const takeable = after.flatMap((state) => {
    const was = old.get(state.id);
    return was === undefined ? [] : [inBoth(was, state)];
  });
  const isEvery = takeable.length === after.length && takeable.every((state, i) => state === after[i]);
  return isEvery ? after : takeable;
}

function inBoth(was: UplinkState, state: UplinkState): UplinkState {
  const gains = (key: 'up' | 'v4' | 'v6'): boolean => state[key] && !was[key];
  if (!gains('up') && !gains('v4') && !gains('v6')) return state;
  return { ...state, up: state.up && was.up, v4: state.v4 && was.v4, v6: state.v6 && was.v6 };
}
