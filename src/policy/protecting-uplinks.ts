/** Which uplinks are taken because of who may see what is sent, and which for local destinations, too. Pure. */
import type { PolicySet } from './effective-policy.ts';
import { protects } from './local-networks.ts';
import type { Uplink, Via } from './model.ts';

const viasOf = ({ apps, systemDefault }: PolicySet): readonly Via[] => [
  ...(systemDefault.via === undefined ? [] : [systemDefault.via]),
  ...apps.flatMap(({ via, rules }) =>
    [via?.value, ...rules.map((rule) => rule.via)].filter((one) => one !== undefined),
  ),
];

const meets = ({ require }: Via, { name, properties }: Uplink): boolean =>
  (require.name?.includes(name) ?? true) &&
  (require.type?.includes(properties.type) ?? true) &&
  (require.encrypted ?? properties.encrypted) === properties.encrypted &&
  (require.trusted ?? properties.trusted) === properties.trusted;

/** Names of those that some `via` takes for that reason: by their names, or because they are what it asks for. */
export function protectingUplinks(policySet: PolicySet): ReadonlySet<string> {
  const vias = viasOf(policySet).filter(protects);
  return namesOf(policySet.uplinks.filter((uplink) => vias.some((via) => meets(via, uplink))));
}

/**
 * Names of those that some `via` with `local: via` may take, now or for what has begun by them: they carry what goes to the networks of other
 * devices, too.
 */
export function localCarriers(policySet: PolicySet): ReadonlySet<string> {
  const vias = viasOf(policySet).filter(({ local }) => local === 'via');
  const mayTake = (via: Via, uplink: Uplink): boolean => via.else === 'any' || meets(via, uplink);
  return namesOf(policySet.uplinks.filter((uplink) => vias.some((via) => mayTake(via, uplink))));
}

const namesOf = (uplinks: readonly Uplink[]): ReadonlySet<string> => new Set(uplinks.map(({ name }) => name));
