/**
 * Which uplink a `via` takes: require, prefer, avoid and prohibit over properties, in that order of force
 * (RFC 9622 section 6.2). Deterministic, and every uplink gets its reason.
 */
import type { Family } from '../net/address.ts';
import { compare, FLAGS, known } from './compare-constraint.ts';
import type { SharedRange, UplinkChoice } from './decision.ts';
import type { FamilyHealth, UplinkState } from './facts.ts';
import type { PropertyConstraint, Uplink, UplinkProperties, Via } from './model.ts';
import { formatQuantity } from './quantity.ts';
import { type Sharer, shareRanges, sharerOf } from './share-ranges.ts';

const healthOf = ({ health }: UplinkState, family: Family): FamilyHealth | undefined =>
  family === 4 ? health?.v4 : health?.v6;

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

type Considered = UplinkChoice['considered'][number];

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

/** What gets through first, then most wishes met, then fewest dislikes, then the files' priority. */
function compareWorth(a: Candidate, b: Candidate): number {
  return (
    Number(a.hasFailed) - Number(b.hasFailed) ||
    b.preferred.length - a.preferred.length ||
    a.avoided.length - b.avoided.length ||
    a.uplink.priority - b.uplink.priority
  );
}

const compareCandidates = (a: Candidate, b: Candidate): number =>
  compareWorth(a, b) || (a.uplink.name < b.uplink.name ? -1 : 1);

function why(candidate: Candidate): string {
  const words = [
    ...(candidate.preferred.length > 0 ? [`preferred: ${candidate.preferred.join(', ')}`] : []),
    ...(candidate.avoided.length > 0 ? [`avoided: ${candidate.avoided.join(', ')}`] : []),
    ...(candidate.hasFailed ? ['probes fail'] : []),
  ];
  return words.length > 0 ? words.join('; ') : 'permitted';
}

interface Weighed {
  readonly permitted: readonly Candidate[];
  /** Up, but `require` or `prohibit` keeps them out. */
  readonly refused: readonly Candidate[];
  /** Why all others are not taken. */
  readonly because: readonly Considered[];
}

function weigh(via: Via, family: Family, uplinks: readonly Uplink[], states: readonly UplinkState[]): Weighed {
  const stateOf = new Map(states.map((state) => [state.name, state]));
  const permitted: Candidate[] = [];
  const refused: Candidate[] = [];
  const because: Considered[] = [];
  for (const uplink of uplinks) {
    const state = stateOf.get(uplink.name);
    const down = unusable(state, family);
    if (down !== undefined || state === undefined) {
      because.push({ uplink: uplink.name, taken: false, because: down ?? 'its device does not exist' });
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
    const reasons = [
      ...compare(via.require, uplink, values).failed.map((word) => `required: ${word}`),
      ...compare(via.prohibit, uplink, values).held.map((word) => `prohibited: ${word}`),
    ];
    if (reasons.length === 0) permitted.push(candidate);
    else {
      refused.push(candidate);
      because.push({ uplink: uplink.name, taken: false, because: reasons.join('; ') });
    }
  }
  return { permitted, refused, because };
}

/** Those that are as good as the best, and whose each slot is. */
interface Sharing {
  readonly sharers: readonly Candidate[];
  readonly ranges: readonly SharedRange[];
}

const sharerFrom = ({ name, weight = 1 }: Uplink): Sharer => ({ name, weight });

function sharingOf(via: Via, uplinks: readonly Uplink[], order: readonly Candidate[]): Sharing | undefined {
  const [best] = order;
  if (via.share === undefined || best === undefined) return undefined;
  const sharers = order.filter((candidate) => compareWorth(candidate, best) === 0);
  if (sharers.length === 1) return undefined;
  const ids = new Map(sharers.map(({ uplink, state }) => [uplink.name, state.id]));
  const ranges = shareRanges(
    uplinks.map(sharerFrom),
    sharers.map(({ uplink }) => sharerFrom(uplink)),
  );
  return { sharers, ranges: ranges.map((range) => ({ ...range, id: ids.get(range.name) ?? 0 })) };
}

function sharesBy(via: Via, { uplink: { weight = 1 } }: Candidate, { sharers }: Sharing): string {
  const total = sharers.reduce((sum, { uplink: { weight: one = 1 } }) => sum + one, 0);
  return `shares by ${via.share}, weight ${weight} of ${total}`;
}

interface Ranking {
  readonly via: Via;
  readonly best: Candidate;
  readonly taken: Candidate;
  readonly sharing: Sharing | undefined;
  /** Whose turn it is, where they share and the flow tells. */
  readonly owner: string | undefined;
  /** What `else` gave. */
  readonly isElse: boolean;
}

function placeIn({ via, best, taken, sharing, owner, isElse }: Ranking, candidate: Candidate): Considered {
  const { name: uplink } = candidate.uplink;
  const isTaken = candidate === taken;
  const isSharer = sharing?.sharers.includes(candidate) === true;
  const lastResort = isTaken && candidate.hasFailed ? ', but no other will do' : '';
  const share = isSharer ? `; ${sharesBy(via, candidate, sharing)}` : '';
  const because = `${isTaken && isElse ? 'else: any; ' : ''}${why(candidate)}${lastResort}${share}`;
  if (isTaken || (isSharer && owner === undefined)) return { uplink, taken: true, because };
  if (!isSharer) return { uplink, taken: false, because: `${because}, but ${best.uplink.name} comes first` };
  return { uplink, taken: false, because: `${because}: here it is the turn of ${owner}` };
}

/**
 * Chooses for one family. With no uplink that meets `require` and `prohibit`, `else` says what happens; a `via` that
 * requires and prohibits nothing falls back to the system's route instead, because it only states wishes. One whose probes
 * fail is taken only where no other will do: to try is better than to refuse. Where the best share, `slot` says which of them;
 * without it all of them are taken, and the first stands for them.
 */
export function chooseUplink(
  via: Via,
  family: Family,
  uplinks: readonly Uplink[],
  states: readonly UplinkState[],
  slot?: number,
): UplinkChoice {
  const { permitted, refused, because } = weigh(via, family, uplinks, states);
  const isElse = permitted.length === 0 && via.else === 'any';
  const order = (isElse ? refused : permitted).toSorted(compareCandidates);
  const [best] = order;
  if (best === undefined) {
    const isOnlyWishes = isEmpty(via.require) && isEmpty(via.prohibit);
    const kind = via.else === 'any' || isOnlyWishes ? 'system' : 'none';
    return { via: via.at, way: { kind }, considered: because };
  }
  const sharing = sharingOf(via, uplinks, order);
  const owner = sharing !== undefined && slot !== undefined ? sharerOf(sharing.ranges, slot) : undefined;
  const taken = order.find(({ uplink }) => uplink.name === owner) ?? best;
  const ranking = { via, best, taken, sharing, owner, isElse };
  const ranked = [taken, ...order.filter((candidate) => candidate !== taken)];
  const names = new Set(ranked.map(({ uplink }) => uplink.name));
  return {
    via: via.at,
    way: { kind: 'uplink', name: taken.uplink.name, id: taken.state.id },
    ...(sharing !== undefined && { shared: sharing.ranges }),
    considered: [
      ...ranked.map((candidate) => placeIn(ranking, candidate)),
      ...because.filter(({ uplink }) => !names.has(uplink)),
    ],
  };
}
