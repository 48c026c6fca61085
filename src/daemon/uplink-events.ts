/** What has become of the uplinks between two states that were in force, for who watches. Pure. */
import type { UplinkEvent } from '../api/event.ts';
import { formatAddress } from '../net/address.ts';
import type { WallMs } from '../net/clock.ts';
import { describeProperties } from '../policy/choose-uplink.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts, UplinkState } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import { shownProperties } from '../policy/shown-properties.ts';

export interface UplinksInForce {
  readonly policySet: Pick<PolicySet, 'uplinks'>;
  readonly machine: { readonly facts: Pick<Facts, 'uplinks'> };
}

interface Seen {
  readonly uplink: Uplink;
  readonly state: UplinkState | undefined;
}

/** None at the first state: `status` and `uplinks` say what there is. */
export function uplinkEvents(before: UplinksInForce | undefined, after: UplinksInForce, timeMs: WallMs): UplinkEvent[] {
  if (before === undefined || before === after) return [];
  const [earlier, now] = [seenIn(before), seenIn(after)];
  const event = ({ uplink: { name, device } }: Seen, what: UplinkEvent['what'], details: string): UplinkEvent => ({
    kind: 'uplink',
    timeMs,
    uplink: name,
    device,
    what,
    details,
  });
  const gone = [...earlier.values()].filter(({ uplink }) => !now.has(uplink.name));
  return [
    ...gone.map((seen) => event(seen, 'gone', '')),
    ...[...now.values()].flatMap((seen): UplinkEvent[] => {
      const was = earlier.get(seen.uplink.name);
      if (was === undefined)
        return [event(seen, 'found', `${describeProperties(seen.uplink.properties)}; ${ways(seen)}`)];
      const details = differences(was, seen);
      return details.length === 0 ? [] : [event(seen, 'changed', details.join('; '))];
    }),
  ];
}

function seenIn({ policySet, machine }: UplinksInForce): ReadonlyMap<string, Seen> {
  const states = new Map(machine.facts.uplinks.map((state) => [state.name, state]));
  return new Map(policySet.uplinks.map((uplink) => [uplink.name, { uplink, state: states.get(uplink.name) }]));
}

/** `IPv4 and IPv6`, or that there is none. */
function ways({ uplink, state }: Seen): string {
  if (uplink.untaken) return 'not taken';
  const families = [...(state?.v4 ? ['IPv4'] : []), ...(state?.v6 ? ['IPv6'] : [])];
  return families.length === 0 ? 'no way out' : families.join(' and ');
}

function differences(was: Seen, now: Seen): string[] {
  return [
    ...(was.uplink.device === now.uplink.device ? [] : [`now ${now.uplink.device}, was ${was.uplink.device}`]),
    ...(ways(was) === ways(now) ? [] : [`now ${ways(now)}, was ${ways(was)}`]),
    ...addressDifferences(was.state, now.state),
    ...propertyDifferences(was.uplink, now.uplink),
    ...healthDifferences(was.state?.health, now.state?.health),
  ];
}

function addressDifferences(was: UplinkState | undefined, now: UplinkState | undefined): string[] {
  const [before, after] = [was, now].map((state) => (state?.addresses ?? []).map(formatAddress));
  return [
    ...(after ?? []).filter((address) => !before?.includes(address)).map((address) => `new address ${address}`),
    ...(before ?? []).filter((address) => !after?.includes(address)).map((address) => `without address ${address}`),
  ];
}

function propertyDifferences(was: Uplink, now: Uplink): string[] {
  const before = new Map(shownProperties(was).map(({ name, value }) => [name, value]));
  return shownProperties(now)
    .filter(({ name, value }) => before.get(name) !== value)
    .map(({ name, value, source }) => `${name} ${value} (${source})`);
}

function healthDifferences(was: UplinkState['health'], now: UplinkState['health']): string[] {
  return (['v4', 'v6'] as const).flatMap((family) => {
    const state = now?.[family]?.state;
    return state === undefined || state === was?.[family]?.state ? [] : [`health of IP${family} ${state}`];
  });
}
