/** Which profiles hold at a moment. Pure. */
import type { UplinkState } from './facts.ts';
import type { LocalTime, Profile, ProfileCondition } from './model.ts';
import { isInWindow } from './time-window.ts';

export interface ProfileFacts {
  readonly uplinks: readonly UplinkState[];
  readonly time: LocalTime;
}

/** What is said of an uplink is to hold of one: a home network's name on one and its gateway on another is no home. */
function holds(condition: ProfileCondition, facts: ProfileFacts): boolean {
  const { uplinks, ssids, gateways, domains, times } = condition;
  const isOfUplink = [uplinks, ssids, gateways, domains].some((stated) => stated !== undefined);
  if (isOfUplink && !facts.uplinks.some((state) => state.up && isMeant(condition, state))) return false;
  return times === undefined || times.some((window) => isInWindow(window, facts.time));
}

function isMeant(
  { uplinks, ssids, gateways, domains }: ProfileCondition,
  { name, network = {} }: UplinkState,
): boolean {
  return (
    hasOneOf(uplinks, [name]) &&
    hasOneOf(ssids, network.ssid === undefined ? [] : [network.ssid]) &&
    hasOneOf(gateways, network.gatewayMacs) &&
    hasOneOf(domains, network.domains)
  );
}

/** `wanted` absent: nothing is asked. */
const hasOneOf = (wanted: readonly string[] | undefined, there: readonly string[] = []): boolean =>
  wanted === undefined || wanted.some((value) => there.includes(value));

/** Sorted names. */
export function activeProfiles(profiles: readonly Profile[], facts: ProfileFacts): readonly string[] {
  return profiles
    .filter(({ when }) => when.some((condition) => holds(condition, facts)))
    .map(({ name }) => name)
    .sort();
}
