/** How an uplink stands to the properties that a `via` names. An unknown value neither meets nor fails a wish. Pure. */
import type { FamilyHealth } from './facts.ts';
import type { PropertyConstraint, Uplink } from './model.ts';
import { formatQuantity, isWithin, QUANTITIES } from './quantity.ts';

/** The flags that an uplink's file can state, in the order in which they are reported. */
export const FLAGS: readonly ('metered' | 'roaming' | 'trusted' | 'encrypted')[] = [
  'metered',
  'roaming',
  'trusted',
  'encrypted',
];

/** What is known of one family of an uplink: what was measured, else what its file states. */
export interface Known {
  readonly rtt: number | undefined;
  readonly loss: number | undefined;
  readonly bandwidth: number | undefined;
  readonly validated: boolean | undefined;
}

export function known({ properties }: Uplink, health: FamilyHealth | undefined): Known {
  return {
    rtt: health?.rttMs ?? properties.rttMs,
    loss: health?.lossRatio ?? properties.lossRatio,
    bandwidth: properties.bandwidthBitsPerSecond,
    validated: isValidated(health),
  };
}

function isValidated(health: FamilyHealth | undefined): boolean | undefined {
  if (health?.captivePortal === true || health?.state === 'failed') return false;
  return health?.validated;
}

/** What of a constraint an uplink has as wanted, and what it has otherwise, or nobody knows it to have: in words. */
export interface Comparison {
  readonly held: readonly string[];
  readonly failed: readonly string[];
}

export function compare(constraint: PropertyConstraint, uplink: Uplink, values: Known): Comparison {
  const held: string[] = [];
  const failed: string[] = [];
  const note = (holds: boolean, words: string): void => {
    (holds ? held : failed).push(words);
  };
  const { name, type, validated } = constraint;
  if (name !== undefined) note(name.includes(uplink.name), `name ${name.join(' or ')}`);
  if (type !== undefined) note(type.includes(uplink.properties.type), `type ${type.join(' or ')}`);
  for (const flag of FLAGS) {
    const wanted = constraint[flag];
    if (wanted !== undefined) note(wanted === uplink.properties[flag], `${flag} ${wanted}`);
  }
  if (validated !== undefined) {
    const unknown = values.validated === undefined ? ' (not known)' : '';
    note(validated === values.validated, `validated ${validated}${unknown}`);
  }
  for (const quantity of QUANTITIES) {
    const { [quantity]: bound } = constraint;
    if (bound === undefined) continue;
    const { [quantity]: value } = values;
    const has = value === undefined ? 'not known' : `it is ${formatQuantity(quantity, value)}`;
    note(value !== undefined && isWithin(bound, value), `${quantity} ${bound.text} (${has})`);
  }
  return { held, failed };
}
