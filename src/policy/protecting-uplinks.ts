/** Uplinks that are taken because of who may see what is sent. Pure. */
import type { PolicySet } from './effective-policy.ts';
import { protects } from './local-networks.ts';
import type { Via } from './model.ts';

/** Names of those that some `via` takes for that reason: by their names, or because they are what it asks for. */
export function protectingUplinks({ apps, systemDefault, uplinks }: PolicySet): ReadonlySet<string> {
  const vias = [
    ...(systemDefault.via === undefined ? [] : [systemDefault.via]),
    ...apps.flatMap(({ via, rules }) =>
      [via?.value, ...rules.map((rule) => rule.via)].filter((one) => one !== undefined),
    ),
  ].filter(protects);
  const mayTake = ({ require }: Via, { name, properties }: PolicySet['uplinks'][number]): boolean =>
    (require.name?.includes(name) ?? true) &&
    (require.type?.includes(properties.type) ?? true) &&
    (require.encrypted ?? properties.encrypted) === properties.encrypted &&
    (require.trusted ?? properties.trusted) === properties.trusted;
  return new Set(uplinks.filter((uplink) => vias.some((via) => mayTake(via, uplink))).map(({ name }) => name));
}
