/** What is another than before, as far as live flows are concerned. */
import { formatAddress } from '../net/address.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import { type Facts, heldAddresses } from '../policy/facts.ts';
import { matchKey } from '../policy/policy-source.ts';
import { changedApps, findApp } from '../policy/sorted-apps.ts';

export interface ChangedPolicies {
  /** Whose policy changed; flows of others are left alone. `everyone`: uplinks or the default changed. */
  readonly apps: ReadonlySet<string> | 'everyone';
  /** Of them those that are new, or whose programs are others now, or nobody's any more. */
  readonly rematched: ReadonlySet<string>;
  /** Nothing is known of what a predecessor decided by. */
  readonly isStart: boolean;
  /** What else decisions depend on: uplinks above all. Of concern only to flows that may be moved. */
  readonly facts: boolean;
  /** Addresses that were an uplink's: what has one gets no answers. As `formatAddress` writes them. */
  readonly lostAddresses: ReadonlySet<string>;
}

export const NOTHING_CHANGED: ChangedPolicies = {
  apps: new Set(),
  rematched: new Set(),
  isStart: false,
  facts: false,
  lostAddresses: new Set(),
};
export const FACTS_CHANGED: ChangedPolicies = { ...NOTHING_CHANGED, facts: true };

export function changedFacts(before: Pick<Facts, 'uplinks'>, after: Pick<Facts, 'uplinks'>): ChangedPolicies {
  return { ...FACTS_CHANGED, lostAddresses: new Set(notHeld(addressTexts(before), after)) };
}

/** Of these addresses those that no uplink has. */
export function notHeld(addresses: Iterable<string>, facts: Pick<Facts, 'uplinks'>): string[] {
  const held = addressTexts(facts);
  return [...addresses].filter((address) => !held.has(address));
}

const addressTexts = ({ uplinks }: Pick<Facts, 'uplinks'>): ReadonlySet<string> =>
  new Set(uplinks.flatMap((uplink) => heldAddresses(uplink).map(formatAddress)));

export function changedPolicies(before: PolicySet | undefined, after: PolicySet): ChangedPolicies {
  if (before === after) return NOTHING_CHANGED;
  if (before === undefined) return { ...NOTHING_CHANGED, apps: 'everyone', isStart: true };
  const apps = changedApps(before.apps, after.apps);
  const rematched = apps.filter((app) => !matchesSame(findApp(before.apps, app), findApp(after.apps, app)));
  const isForEveryone = before.systemDefault !== after.systemDefault || !sameUplinks(before, after);
  return {
    ...NOTHING_CHANGED,
    apps: isForEveryone ? 'everyone' : new Set(apps),
    rematched: new Set(rematched),
  };
}

export function joinChanges(a: ChangedPolicies, b: ChangedPolicies): ChangedPolicies {
  return {
    apps: a.apps === 'everyone' || b.apps === 'everyone' ? 'everyone' : new Set([...a.apps, ...b.apps]),
    rematched: new Set([...a.rematched, ...b.rematched]),
    isStart: a.isStart || b.isStart,
    facts: a.facts || b.facts,
    lostAddresses: new Set([...a.lostAddresses, ...b.lostAddresses]),
  };
}

export function isNothing({ apps, facts }: ChangedPolicies): boolean {
  return apps !== 'everyone' && apps.size === 0 && !facts;
}

function matchesSame(before: EffectivePolicy | undefined, after: EffectivePolicy | undefined): boolean {
  if (before === undefined || after === undefined || before.match.length !== after.match.length) return false;
  const keys = after.match.map(matchKey);
  return before.match.every((match, i) => matchKey(match) === keys[i]);
}

/** An uplink that is found, or gone, is news of the network; one that is another than before is not. */
function sameUplinks({ uplinks: before }: PolicySet, { uplinks: after }: PolicySet): boolean {
  if (before === after) return true;
  const [statedBefore, stated] = [before, after].map((uplinks) => uplinks.filter(({ discovered }) => !discovered));
  if (statedBefore?.length !== stated?.length || !stated?.every((uplink, i) => uplink === statedBefore?.[i]))
    return false;
  const earlier = new Map(before.map((uplink) => [uplink.name, uplink]));
  return after.every((uplink) => (earlier.get(uplink.name) ?? uplink) === uplink);
}
