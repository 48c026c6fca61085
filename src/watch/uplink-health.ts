/**
 * How uplinks fare, each family by itself: live connections tell for nothing; where they do not, or tell of trouble, somebody is
 * asked, within a budget.
 */
import type { Background } from '../kernel/background.ts';
import type { Family } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import { addSample, healthOf, isUnsettled, newScore, type UplinkScore } from '../policy/uplink-score.ts';
import { DEFAULT_PROBE_INTERVAL_MS } from '../policy/validate-probe.ts';
import { type PassiveReading, readingKey } from './passive-health.ts';
import type { ProbeOutcome, ProbeWay } from './probe.ts';
import { METERED_PROBE_LIMITS, PROBE_BYTES, PROBE_LIMITS, ProbeBudget } from './probe-budget.ts';
import { describeTarget, type ProbeTarget, probeTargets } from './probe-targets.ts';

/** Live connections are looked at so often. */
export const PASSIVE_EVERY_MS = 5000;
export const MAX_PROBES_AT_ONCE = 32;
/** A second opinion where the first target does not answer. */
export const MAX_TARGETS_A_ROUND = 2;
/** While something changes, the interval is divided by this, though not beyond the least. */
const HASTE = 5;
const LEAST_INTERVAL_MS = 200;
/** An uplink of which nothing can be found out is asked in haste no more often than this. */
const HASTY_ROUNDS = 10;
/** Captive portals come up now and then (their time runs out): HTTP is asked so often even where something cheaper answers. */
const PORTAL_EVERY_MS = 60_000;
/** Of the interval, to either side: machines that start together are not to ask together. */
const JITTER = 0.2;
/** The first time: all uplinks come up at once. */
const FIRST_SPREAD_MS = 250;
/** Stalled peers from which on it is not the peers, where nobody may be asked. */
const STALLED_PEERS = 2;

export type UplinkHealths = ReadonlyMap<string, NonNullable<UplinkState['health']>>;

export interface UplinkHealthOptions {
  readonly background: Background;
  /** Never rejects. */
  readonly probe: (
    target: ProbeTarget,
    way: Omit<ProbeWay, 'mark'> & { readonly uplinkId: number },
  ) => Promise<ProbeOutcome>;
  readonly readPassive: (uplinks: readonly UplinkState[]) => ReadonlyMap<string, PassiveReading>;
  readonly nowMs: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** `healths()` or `notProbed()` says something else now. */
  readonly onChange: () => void;
}

interface Entry {
  readonly uplink: Uplink;
  readonly state: UplinkState;
  readonly family: Family;
  readonly targets: readonly ProbeTarget[];
  readonly budget: ProbeBudget;
  /** What, when it is another one, makes it another uplink. */
  readonly sameAs: string;
  score: UplinkScore;
  dueMs: number;
  isAsking: boolean;
  rounds: number;
  portalDueMs: number;
  /** Targets that have answered. The latest comes first next time. */
  readonly answered: Set<string>;
  latest: string | undefined;
  /** Why the last round sent nothing. */
  because: string | undefined;
}

export class UplinkHealth implements AsyncDisposable {
  readonly #options: UplinkHealthOptions;
  #entries = new Map<string, Entry>();
  #budgets = new Map<string, { readonly budget: ProbeBudget; readonly isMetered: boolean }>();
  #healths: UplinkHealths = new Map();
  #text = '[]';
  #notProbedText = '[]';
  #passiveMs = Number.NEGATIVE_INFINITY;
  readonly #asking = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(options: UplinkHealthOptions) {
    this.#options = options;
  }

  /** The uplinks from now on, each family that is up. What is known of those that stay the same is kept. */
  follow(uplinks: readonly Uplink[], states: readonly UplinkState[]): void {
    const nowMs = this.#options.nowMs();
    const byName = new Map(states.map((state) => [state.name, state]));
    const before = this.#entries;
    this.#entries = new Map();
    const budgets = new Map<string, { readonly budget: ProbeBudget; readonly isMetered: boolean }>();
    for (const uplink of uplinks) {
      const state = byName.get(uplink.name);
      if (state === undefined) continue;
      budgets.set(uplink.name, this.#budgetOf(uplink, nowMs));
      const budget = budgets.get(uplink.name)?.budget ?? new ProbeBudget(PROBE_LIMITS, nowMs);
      for (const family of [4, 6] as const) {
        if (!(family === 4 ? state.v4 : state.v6)) continue;
        const key = readingKey(uplink.name, family);
        this.#entries.set(key, this.#entryOf({ uplink, state, family, budget }, before.get(key), nowMs));
      }
    }
    this.#budgets = budgets;
    this.#publish();
    this.#advance();
  }

  /** By the uplink's name, where anything is known; the same map as long as it says the same. */
  healths(): UplinkHealths {
    return this.#healths;
  }

  /** Families that nothing could be sent by, with the reason. */
  notProbed(): readonly { readonly uplink: string; readonly family: Family; readonly because: string }[] {
    return [...this.#entries.values()].flatMap(({ uplink, family, because }) =>
      because === undefined ? [] : [{ uplink: uplink.name, family, because }],
    );
  }

  /** Resolves when nothing is under way any more; whoever probes is to end what is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#asking);
  }

  /** What was spent stays spent, whatever becomes of the uplink. */
  #budgetOf(
    { name, properties }: Uplink,
    nowMs: number,
  ): { readonly budget: ProbeBudget; readonly isMetered: boolean } {
    const before = this.#budgets.get(name);
    if (before?.isMetered === properties.metered) return before;
    const limits = properties.metered ? METERED_PROBE_LIMITS : PROBE_LIMITS;
    return { budget: new ProbeBudget(limits, nowMs), isMetered: properties.metered };
  }

  #entryOf(
    given: Pick<Entry, 'uplink' | 'state' | 'family' | 'budget'>,
    before: Entry | undefined,
    nowMs: number,
  ): Entry {
    const targets = probeTargets(given.uplink, given.state, given.family);
    const gateway = given.family === 4 ? given.state.gateways.v4 : given.state.gateways.v6;
    const sameAs = [given.state.deviceIndex, gateway?.value, ...targets.map(describeTarget)].join('\n');
    if (before?.sameAs === sameAs) {
      const isOtherPace = intervalOf(before.uplink) !== intervalOf(given.uplink);
      const same = Object.assign(before, given);
      if (isOtherPace) same.dueMs = nowMs + this.#pauseMs(same);
      return same;
    }
    return {
      ...given,
      targets,
      sameAs,
      score: newScore(),
      dueMs: nowMs + this.#options.random() * FIRST_SPREAD_MS,
      isAsking: false,
      rounds: 0,
      portalDueMs: nowMs,
      answered: new Set(),
      latest: undefined,
      because: undefined,
    };
  }

  #advance(): void {
    if (this.#isDisposed) return;
    clearTimeout(this.#timer);
    const nowMs = this.#options.nowMs();
    if (this.#entries.size === 0) return;
    if (nowMs - this.#passiveMs >= PASSIVE_EVERY_MS) this.#lookAtConnections(nowMs);
    const due = [...this.#entries.values()].filter((entry) => mayAsk(entry) && entry.dueMs <= nowMs);
    for (const entry of due.sort((a, b) => a.dueMs - b.dueMs)) {
      if (this.#asking.size >= MAX_PROBES_AT_ONCE) break;
      this.#start(entry, nowMs);
    }
    this.#schedule(nowMs);
  }

  #schedule(nowMs: number): void {
    let nextMs = this.#passiveMs + PASSIVE_EVERY_MS;
    // With all under way, the first that ends goes on.
    if (this.#asking.size < MAX_PROBES_AT_ONCE) {
      for (const entry of this.#entries.values()) if (mayAsk(entry)) nextMs = Math.min(nextMs, entry.dueMs);
    }
    this.#timer = this.#options.background.timeout(
      () => this.#advance(),
      Math.min(Math.max(nextMs - nowMs, 1), PASSIVE_EVERY_MS),
    );
    this.#timer.unref();
  }

  #lookAtConnections(nowMs: number): void {
    this.#passiveMs = nowMs;
    const states = new Set([...this.#entries.values()].map(({ state }) => state));
    const readings = this.#options.readPassive([...states]);
    for (const [key, entry] of this.#entries) {
      const reading = readings.get(key);
      if (reading !== undefined) this.#hearConnections(entry, reading, nowMs);
    }
    this.#publish();
  }

  #hearConnections(entry: Entry, reading: PassiveReading, nowMs: number): void {
    const { alive, stalledPeers, lossRatio, rttMs } = reading;
    if (alive > 0) {
      const sample = { source: 'passive', atMs: nowMs, lossRatio, validated: true } as const;
      entry.score = addSample(entry.score, { ...sample, ...(rttMs !== undefined && { rttMs }) });
      // Whoever has just been heard of need not be asked, at least until the next look.
      const pauseMs = Math.max(this.#pauseMs(entry), PASSIVE_EVERY_MS * (1 + JITTER));
      if (!isUnsettled(entry.score)) entry.dueMs = Math.max(entry.dueMs, nowMs + pauseMs);
      return;
    }
    // One peer that does not answer may have gone.
    if (entry.targets.length > 0) entry.dueMs = Math.min(entry.dueMs, nowMs);
    else if (stalledPeers >= STALLED_PEERS) {
      entry.score = addSample(entry.score, { source: 'passive', atMs: nowMs, lossRatio: 1 });
    }
  }

  #start(entry: Entry, nowMs: number): void {
    entry.isAsking = true;
    const asking = this.#ask(entry, nowMs).finally(() => {
      this.#asking.delete(asking);
      entry.isAsking = false;
      entry.dueMs = Math.max(this.#options.nowMs(), nowMs + this.#pauseMs(entry));
      this.#publish();
      this.#advance();
    });
    this.#asking.add(asking);
    this.#options.background.run(() => asking);
  }

  /** One round: a target, and another one where that does not answer. */
  async #ask(entry: Entry, nowMs: number): Promise<void> {
    const lost: string[] = [];
    let because: string | undefined;
    entry.rounds += 1;
    for (const target of inOrder(entry, nowMs).slice(0, MAX_TARGETS_A_ROUND)) {
      if (!entry.budget.take(PROBE_BYTES[target.kind], this.#options.nowMs())) break;
      const outcome = await this.#probe(entry, target);
      if (outcome.kind === 'not sent') {
        because = outcome.because;
      } else if (outcome.kind === 'lost') {
        lost.push(describeTarget(target));
      } else {
        entry.because = undefined;
        this.#hearAnswer(entry, target, outcome, lost);
        return;
      }
    }
    entry.because = lost.length === 0 ? because : undefined;
    // A gateway that answers no echo requests at all is nothing unusual.
    const isNews =
      lost.some((target) => entry.answered.has(target)) || entry.targets.every((target) => !isGateway(target));
    if (lost.length === 0 || !isNews) return;
    const source = entry.targets[0]?.kind ?? 'icmp';
    entry.score = addSample(entry.score, { source, atMs: this.#options.nowMs(), lossRatio: 1 });
  }

  #probe({ state, family }: Entry, target: ProbeTarget): Promise<ProbeOutcome> {
    const source = state.addresses.find((address) => address.family === family);
    const { deviceIndex, id: uplinkId } = state;
    if (source === undefined || deviceIndex === undefined) {
      return Promise.resolve({ kind: 'not sent', because: 'it has no address' });
    }
    return this.#options.probe(target, { source, deviceIndex, uplinkId });
  }

  #hearAnswer(
    entry: Entry,
    target: ProbeTarget,
    { rttMs, captivePortal }: Extract<ProbeOutcome, { kind: 'answered' }>,
    lost: readonly string[],
  ): void {
    // Targets that have never answered say nothing about an uplink by which another one does.
    const missed = lost.filter((other) => entry.answered.has(other)).length;
    const nowMs = this.#options.nowMs();
    const name = describeTarget(target);
    entry.answered.add(name);
    if (target.kind === 'http') entry.portalDueMs = nowMs + (captivePortal === true ? 0 : PORTAL_EVERY_MS);
    else entry.latest = name;
    entry.score = addSample(entry.score, {
      source: target.kind,
      atMs: nowMs,
      lossRatio: missed / (missed + 1),
      // How far the gateway is does not matter where it is known how far others are.
      ...(!(isGateway(target) && entry.score.validated) && { rttMs }),
      validated: !isGateway(target),
      ...(captivePortal !== undefined && { captivePortal }),
    });
  }

  #pauseMs({ uplink, score, rounds }: Entry): number {
    const intervalMs = intervalOf(uplink);
    const isHasty = isUnsettled(score) && (score.state !== 'unknown' || rounds < HASTY_ROUNDS);
    const pauseMs = isHasty ? Math.max(intervalMs / HASTE, LEAST_INTERVAL_MS) : intervalMs;
    return pauseMs * (1 - JITTER + 2 * JITTER * this.#options.random());
  }

  #publish(): void {
    const healths = new Map<string, { v4?: ReturnType<typeof healthOf>; v6?: ReturnType<typeof healthOf> }>();
    for (const { uplink, family, score } of this.#entries.values()) {
      if (score.losses.length === 0) continue;
      healths.set(uplink.name, { ...healths.get(uplink.name), [`v${family}`]: healthOf(score) });
    }
    const text = JSON.stringify([...healths]);
    const notProbedText = JSON.stringify(this.notProbed());
    if (this.#isDisposed || (text === this.#text && notProbedText === this.#notProbedText)) return;
    if (text !== this.#text) this.#healths = healths;
    this.#text = text;
    this.#notProbedText = notProbedText;
    this.#options.onChange();
  }
}

const mayAsk = ({ isAsking, targets }: Entry): boolean => !isAsking && targets.length > 0;

const intervalOf = ({ probe }: Uplink): number =>
  probe === undefined || probe === 'off' ? DEFAULT_PROBE_INTERVAL_MS : probe.intervalMs;

const isGateway = (target: ProbeTarget): boolean => target.kind === 'icmp' && target.isGateway === true;

/** Now and then HTTP first; then who answered last, the others, and what costs most at the end. */
function inOrder({ targets, latest, portalDueMs }: Entry, nowMs: number): readonly ProbeTarget[] {
  const rank = (target: ProbeTarget): number => {
    if (target.kind === 'http') return nowMs >= portalDueMs ? 0 : 3;
    return describeTarget(target) === latest ? 1 : 2;
  };
  return targets.toSorted((a, b) => rank(a) - rank(b));
}
