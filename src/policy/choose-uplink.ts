/**
 * Which uplink a `via` takes: require, prefer, avoid and prohibit over properties, in that order of force
 * (RFC 9622 section 6.2). Deterministic, and every uplink gets its reason.
 */
import type { Family } from '../net/address.ts';
import type { UplinkChoice } from './decision.ts';
import type { FamilyHealth, UplinkState } from './facts.ts';
import type { PropertyConstraint, Uplink, UplinkProperties, Via } from './model.ts';
import { formatQuantity, isWithin, QUANTITIES } from './quantity.ts';

/** The flags that a constraint can state, in the order in which they are reported. */
const FLAGS = ['metered', 'roaming', 'trusted', 'encrypted'] as const;

/** What is known of one family of an uplink: what was measured, else what its file states. */
interface Known {
  readonly rtt: number | undefined;
  readonly loss: number | undefined;
  readonly bandwidth: number | undefined;
  readonly validated: boolean | undefined;
}

function known({ properties }: Uplink, health: FamilyHealth | undefined): Known {
  return {
    rtt: health?.rttMs ?? properties.rttMs,
    loss: health?.lossRatio ?? properties.lossRatio,
    bandwidth: properties.bandwidthBitsPerSecond,
    validated: isValidated(health),
  };
}

function isValidated(health: FamilyHealth | undefined): boolean | undefined {
  if (health?.captivePortal === true || health?.state === 'failed') return false;
  return health?.state === 'good' ? true : undefined;
}

const healthOf = ({ health }: UplinkState, family: Family): FamilyHealth | undefined =>
  family === 4 ? health?.v4 : health?.v6;

/** What of a constraint an uplink has as wanted, and what it has otherwise, or nobody knows it to have. */
interface Comparison {
  readonly held: readonly string[];
  readonly failed: readonly string[];
}

function compare(constraint: PropertyConstraint, uplink: Uplink, values: Known): Comparison {
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

const isEmpty = (constraint: PropertyConstraint): boolean => Object.keys(constraint).length === 0;

/** An uplink's properties in a few words. */
export function describeProperties(properties: UplinkProperties): string {
  const { type, bandwidthBitsPerSecond: bandwidth, rttMs, lossRatio } = properties;
  const numbers = [
    ...(bandwidth === undefined ? [] : [formatQuantity('bandwidth', bandwidth)]),
    ...(rttMs === undefined ? [] : [`rtt ${formatQuantity('rtt', rttMs)}`]),
    ...(lossRatio === undefined ? [] : [`loss ${formatQuantity('loss', lossRatio)}`]),
  ];
  return [type, ...FLAGS.filter((flag) => properties[flag]), ...numbers].join(', ');
}

interface Candidate {
  readonly uplink: Uplink;
  readonly state: UplinkState;
  readonly preferred: readonly string[];
  readonly avoided: readonly string[];
  /** Probes say that nothing gets through. */
  readonly hasFailed: boolean;
}

/** Why an uplink cannot be taken whatever the policy says; undefined where it can. */
function unusable(state: UplinkState | undefined, family: Family): string | undefined {
  if (state === undefined || state.deviceIndex === undefined) return 'its device does not exist';
  if (!state.up) return 'it is down';
  if (family === 4 ? !state.v4 : !state.v6) return `it has no IPv${family} way out`;
  return undefined;
}

/** What gets through first, then most wishes met, then fewest dislikes, then the files' priority, then the name. */
function compareCandidates(a: Candidate, b: Candidate): number {
  return (
    Number(a.hasFailed) - Number(b.hasFailed) ||
    b.preferred.length - a.preferred.length ||
    a.avoided.length - b.avoided.length ||
    a.uplink.priority - b.uplink.priority ||
    (a.uplink.name < b.uplink.name ? -1 : 1)
  );
}

function why(candidate: Candidate): string {
  const words = [
    ...(candidate.preferred.length > 0 ? [`preferred: ${candidate.preferred.join(', ')}`] : []),
    ...(candidate.avoided.length > 0 ? [`avoided: ${candidate.avoided.join(', ')}`] : []),
    ...(candidate.hasFailed ? ['probes fail'] : []),
  ];
  return words.length > 0 ? words.join('; ') : 'permitted';
}

/**
 * Chooses for one family. With no uplink that meets `require` and `prohibit`, `else` says what happens; a `via` that
 * requires and prohibits nothing falls back to the system's route instead, because it only states wishes. One whose probes
 * fail is taken only where no other will do: to try is better than to refuse.
 */
export function chooseUplink(
  via: Via,
  family: Family,
  uplinks: readonly Uplink[],
  states: readonly UplinkState[],
): UplinkChoice {
  const stateOf = new Map(states.map((state) => [state.name, state]));
  const considered: { uplink: string; taken: boolean; because: string }[] = [];
  const permitted: Candidate[] = [];
  const refused: Candidate[] = [];
  for (const uplink of uplinks) {
    const state = stateOf.get(uplink.name);
    const down = unusable(state, family);
    if (down !== undefined || state === undefined) {
      considered.push({ uplink: uplink.name, taken: false, because: down ?? 'its device does not exist' });
      continue;
    }
    const health = healthOf(state, family);
    const values = known(uplink, health);
    const candidate = {
      uplink,
      state,
      preferred: compare(via.prefer, uplink, values).held,
      avoided: compare(via.avoid, uplink, values).held,
      hasFailed: health?.state === 'failed',
    };
    const missing = compare(via.require, uplink, values).failed;
    const prohibited = compare(via.prohibit, uplink, values).held;
    if (missing.length > 0 || prohibited.length > 0) {
      const because = [
        ...missing.map((word) => `required: ${word}`),
        ...prohibited.map((word) => `prohibited: ${word}`),
      ];
      considered.push({ uplink: uplink.name, taken: false, because: because.join('; ') });
      refused.push(candidate);
    } else permitted.push(candidate);
  }
  const order = (permitted.length === 0 && via.else === 'any' ? refused : permitted).toSorted(compareCandidates);
  const [best, ...others] = order;
  if (best === undefined) {
    const way: UplinkChoice['way'] =
      via.else === 'any' || (isEmpty(via.require) && isEmpty(via.prohibit)) ? { kind: 'system' } : { kind: 'none' };
    return { via: via.at, way, considered };
  }
  const way: UplinkChoice['way'] = { kind: 'uplink', name: best.uplink.name, id: best.state.id };
  const fallback = permitted.length === 0 ? 'else: any; ' : '';
  return {
    via: via.at,
    way,
    considered: [
      {
        uplink: best.uplink.name,
        taken: true,
        because: `${fallback}${why(best)}${best.hasFailed ? ', but no other will do' : ''}`,
      },
      ...others.map((other) => ({
        uplink: other.uplink.name,
        taken: false,
        because: `${why(other)}, but ${best.uplink.name} comes first`,
      })),
      ...considered.filter((entry) => !(fallback !== '' && order.some((o) => o.uplink.name === entry.uplink))),
    ],
  };
}
