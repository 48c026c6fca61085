/**
 * Which uplink a `via` takes: require, prefer, avoid and prohibit over properties, in that order of force
 * (RFC 9622 section 6.2). Deterministic, and every uplink gets its reason.
 */
import type { Family } from '../net/address.ts';
import { compare, FLAGS, known } from './compare-constraint.ts';
import type { SharedRange, UplinkChoice } from './decision.ts';
import { durationText } from './duration.ts';
import type { PolicySet } from './effective-policy.ts';
import type { Facts, FamilyHealth, KeptChoices, UplinkState } from './facts.ts';
import type { PropertyConstraint, Uplink, UplinkProperties, Via } from './model.ts';
import { formatQuantity } from './quantity.ts';
import { type Sharer, shareRanges, sharerOf } from './share-ranges.ts';
import { keptKey } from './via-text.ts';

/** What there is to choose from. */
export interface WaysOut {
  readonly uplinks: readonly Uplink[];
  readonly states: readonly UplinkState[];
  /** Absent: sticky choices have no past. */
  readonly kept?: KeptChoices;
}

type WayFacts = Pick<Facts, 'uplinks' | 'kept'>;

export const waysOut = ({ uplinks }: Pick<PolicySet, 'uplinks'>, { uplinks: states, kept }: WayFacts): WaysOut => ({
  uplinks,
  states,
  ...(kept !== undefined && { kept }),
});

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

/** Why one that a neighbour announced meets no `via`, and what admits it. */
export const NOT_TAKEN_BECAUSE =
  'only router advertisements say that it leads out; a file for its device admits it, or "trust-found: true" in default.yaml';
const NOT_TAKEN = `found, not taken: ${NOT_TAKEN_BECAUSE}`;

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

function weigh(via: Via, family: Family, { uplinks, states }: WaysOut): Weighed {
  const stateOf = new Map(states.map((state) => [state.name, state]));
  const permitted: Candidate[] = [];
  const refused: Candidate[] = [];
  const because: Considered[] = [];
  for (const uplink of uplinks) {
    if (uplink.untaken) {
      because.push({ uplink: uplink.name, taken: false, because: NOT_TAKEN });
      continue;
    }
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

/** Those that have it in turn: the best, or where that is sticky the kept ones. */
function sharersOf({ order, kept }: Order): readonly Candidate[] {
  const [best] = order;
  if (best === undefined) return [];
  return order.filter((candidate) =>
    kept.length > 0 ? kept.includes(candidate) : compareWorth(candidate, best) === 0,
  );
}

function sharingOf(via: Via, uplinks: readonly Uplink[], order: Order): Sharing | undefined {
  if (via.share === undefined) return undefined;
  const sharers = sharersOf(order);
  if (sharers.length <= 1) return undefined;
  const ids = new Map(sharers.map(({ uplink, state }) => [uplink.name, state.id]));
  const ranges = shareRanges(
    uplinks.filter(({ untaken }) => untaken === undefined).map(sharerFrom),
    sharers.map(({ uplink }) => sharerFrom(uplink)),
  );
  return { sharers, ranges: ranges.map((range) => ({ ...range, id: ids.get(range.name) ?? 0 })) };
}

function sharesBy(via: Via, { uplink: { weight = 1 } }: Candidate, { sharers }: Sharing): string {
  const total = sharers.reduce((sum, { uplink: { weight: one = 1 } }) => sum + one, 0);
  return `shares by ${via.share}, weight ${weight} of ${total}`;
}

/** All that may be taken, in the order in which they are. */
interface Order {
  readonly order: readonly Candidate[];
  /** The first of them, where a sticky choice came to these earlier. */
  readonly kept: readonly Candidate[];
  /** What `else` gave. */
  readonly isElse: boolean;
}

function orderOf(via: Via, family: Family, { permitted, refused }: Weighed, names?: KeptChoices): Order {
  const isElse = permitted.length === 0 && via.else === 'any';
  const byWorth = (isElse ? refused : permitted).toSorted(compareCandidates);
  const keptNames = via.stickyMs === undefined ? [] : (names?.get(keptKey(via, family)) ?? []);
  const kept = byWorth.filter(({ uplink }) => keptNames.includes(uplink.name));
  return { order: [...kept, ...byWorth.filter((candidate) => !kept.includes(candidate))], kept, isElse };
}

export interface BestUplinks {
  /** The first, or where they share all that are as good. */
  readonly best: readonly string[];
  /** As permitted as these, and where these get anything through they do, too. */
  readonly usable: readonly string[];
}

/** Whatever was kept. */
export function bestUplinks(via: Via, family: Family, ways: WaysOut): BestUplinks {
  const order = orderOf(via, family, weigh(via, family, ways));
  const [first] = order.order;
  if (first === undefined) return { best: [], usable: [] };
  const best = via.share === undefined ? [first] : sharersOf(order);
  const usable = order.order.filter(({ hasFailed }) => hasFailed === first.hasFailed);
  const names = (candidates: readonly Candidate[]): string[] => candidates.map(({ uplink }) => uplink.name);
  return { best: names(best), usable: names(usable) };
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

/** Of an uplink that would come first, if the choice were not sticky. */
const comesAfter = (candidate: Candidate, { via, best }: Ranking): string =>
  via.stickyMs !== undefined && compareCandidates(candidate, best) < 0
    ? `but sticky: new connections stay with ${best.uplink.name} until this has come first for ${durationText(via.stickyMs)}`
    : `but ${best.uplink.name} comes first`;

function placeIn(ranking: Ranking, candidate: Candidate): Considered {
  const { via, taken, sharing, owner, isElse } = ranking;
  const { name: uplink } = candidate.uplink;
  const isTaken = candidate === taken;
  const isSharer = sharing?.sharers.includes(candidate) === true;
  const lastResort = isTaken && candidate.hasFailed ? ', but no other will do' : '';
  const share = isSharer ? `; ${sharesBy(via, candidate, sharing)}` : '';
  const because = `${isTaken && isElse ? 'else: any; ' : ''}${why(candidate)}${lastResort}${share}`;
  if (isTaken || (isSharer && owner === undefined)) return { uplink, taken: true, because };
  if (!isSharer) return { uplink, taken: false, because: `${because}, ${comesAfter(candidate, ranking)}` };
  return { uplink, taken: false, because: `${because}: here it is the turn of ${owner}` };
}

/**
 * Chooses for one family. With no uplink that meets `require` and `prohibit`, `else` says what happens; a `via` that
 * requires and prohibits nothing falls back to the system's route instead, because it only states wishes. One whose probes
 * fail is taken only where no other will do: to try is better than to refuse. Where the best share, `slot` says which of them;
 * without it all of them are taken, and the first stands for them.
 */
export function chooseUplink(via: Via, family: Family, ways: WaysOut, slot?: number): UplinkChoice {
  const weighed = weigh(via, family, ways);
  const { because } = weighed;
  const ordered = orderOf(via, family, weighed, ways.kept);
  const { order, isElse } = ordered;
  const [best] = order;
  if (best === undefined) {
    const isOnlyWishes = isEmpty(via.require) && isEmpty(via.prohibit);
    const kind = via.else === 'any' || isOnlyWishes ? 'system' : 'none';
    return { via: via.at, way: { kind }, considered: because };
  }
  const sharing = sharingOf(via, ways.uplinks, ordered);
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
