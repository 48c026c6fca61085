/**
 * Which uplink a `via` takes: require, prefer, avoid and prohibit over properties, in that order of force
 * (RFC 9622 section 6.2). Deterministic, and every uplink gets its reason.
 */
import type { Family } from '../net/address.ts';
import type { UplinkChoice } from './decision.ts';
import type { UplinkState } from './facts.ts';
import type { PropertyConstraint, Uplink, UplinkProperties, Via } from './model.ts';

/** The property names that a constraint can state besides `name`, in the order in which they are reported. */
const PROPERTIES = ['type', 'metered', 'roaming', 'trusted', 'encrypted'] as const;

/** Names of the properties of `constraint` that the uplink has as wanted, and that it has otherwise. */
function compare(constraint: PropertyConstraint, uplink: Uplink): { held: string[]; failed: string[] } {
  const held: string[] = [];
  const failed: string[] = [];
  if (constraint.name !== undefined)
    (constraint.name.includes(uplink.name) ? held : failed).push(`name ${constraint.name.join(' or ')}`);
  for (const property of PROPERTIES) {
    const wanted = constraint[property];
    if (wanted === undefined) continue;
    const has =
      typeof wanted === 'object' ? wanted.includes(uplink.properties.type) : wanted === uplink.properties[property];
    (has ? held : failed).push(`${property} ${typeof wanted === 'object' ? wanted.join(' or ') : wanted}`);
  }
  return { held, failed };
}

const isEmpty = (constraint: PropertyConstraint): boolean => Object.keys(constraint).length === 0;

/** An uplink's properties in a few words. */
export function describeProperties(properties: UplinkProperties): string {
  const flags = (['metered', 'roaming', 'trusted', 'encrypted'] as const).filter((flag) => properties[flag]);
  return [properties.type, ...flags].join(', ');
}

interface Candidate {
  readonly uplink: Uplink;
  readonly state: UplinkState;
  readonly preferred: readonly string[];
  readonly avoided: readonly string[];
}

/** Why an uplink cannot be taken whatever the policy says; undefined where it can. */
function unusable(state: UplinkState | undefined, family: Family): string | undefined {
  if (state === undefined || state.deviceIndex === undefined) return 'its device does not exist';
  if (!state.up) return 'it is down';
  if (family === 4 ? !state.v4 : !state.v6) return `it has no IPv${family} way out`;
  return undefined;
}

/** Most wishes met first, then fewest dislikes, then the files' priority, then the name. */
function compareCandidates(a: Candidate, b: Candidate): number {
  return (
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
  ];
  return words.length > 0 ? words.join('; ') : 'permitted';
}

/**
 * Chooses for one family. With no uplink that meets `require` and `prohibit`, `else` says what happens; a `via` that
 * requires and prohibits nothing falls back to the system's route instead, because it only states wishes.
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
    const candidate = {
      uplink,
      state,
      preferred: compare(via.prefer, uplink).held,
      avoided: compare(via.avoid, uplink).held,
    };
    const missing = compare(via.require, uplink).failed;
    const prohibited = compare(via.prohibit, uplink).held;
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
      { uplink: best.uplink.name, taken: true, because: `${fallback}${why(best)}` },
      ...others.map((other) => ({
        uplink: other.uplink.name,
        taken: false,
        because: `${why(other)}, but ${best.uplink.name} comes first`,
      })),
      ...considered.filter((entry) => !(fallback !== '' && order.some((o) => o.uplink.name === entry.uplink))),
    ],
  };
}
