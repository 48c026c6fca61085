/**
 * How one family of an uplink fares, from samples of it: a score with two thresholds, as mwan3 (OpenWrt) keeps one, and what is
 * told of it in steps, so that facts do not change with every millisecond. Pure: the same samples give the same score.
 */
import type { FamilyHealth } from './facts.ts';

export type SampleSource = 'passive' | 'icmp' | 'tcp' | 'http' | 'dns';

/** One look at an uplink. */
export interface HealthSample {
  readonly source: SampleSource;
  readonly atMs: number;
  /** 0: answered; 1: lost. Between: what live connections had to send again. */
  readonly lossRatio: number;
  /** Of what was answered. */
  readonly rttMs?: number;
  /** An answer came from beyond the gateway. */
  readonly validated?: boolean;
  /** Only HTTP can tell. */
  readonly captivePortal?: boolean;
}

/** A sample counts as bad beyond `fail`, and as fine within `recover`. What lies between changes nothing for good. */
export interface ScoreThresholds {
  readonly fail: { readonly rttMs: number; readonly lossRatio: number };
  readonly recover: { readonly rttMs: number; readonly lossRatio: number };
  /** So many bad ones more than others, and it has failed. */
  readonly down: number;
  /** So many fine ones more than others, and it is good again. */
  readonly up: number;
}

/** mwan3's: failure_latency, failure_loss, recovery_latency, recovery_loss, down, up. */
export const DEFAULT_THRESHOLDS: ScoreThresholds = {
  fail: { rttMs: 1000, lossRatio: 0.4 },
  recover: { rttMs: 500, lossRatio: 0.1 },
  down: 5,
  up: 5,
};

/** What `fail` and `recover` are compared with is the loss of so many samples. */
export const QUALITY_WINDOW = 10;
/** What is told of loss is that of so many. */
export const LOSS_WINDOW = 20;
/** RFC 6298 section 2: SRTT, alpha 1/8. */
const RTT_ALPHA = 1 / 8;
/** Of so many samples the least counts: the first answers wait for neighbour discovery, which asks again after a second, too. */
const FIRST_SAMPLES = 5;
/** What is told changes when the measured value is farther from it than this. */
const RTT_TOLERANCE_RATIO = 0.25;
const RTT_TOLERANCE_MS = 2;
const LOSS_STEP = 0.05;
const LOSS_TOLERANCE = 0.1;

export interface UplinkScore {
  readonly state: FamilyHealth['state'];
  /** 0 to `down * up`: 0 has failed, the most is good; between, it is what it was. */
  readonly points: number;
  /** Of the latest samples, the latest last; at most LOSS_WINDOW. */
  readonly losses: readonly number[];
  readonly smoothedRttMs?: number;
  /** What is told. */
  readonly toldRttMs?: number;
  readonly toldLossRatio?: number;
  readonly validated: boolean;
  readonly captivePortal: boolean;
}

/** Before the first sample. */
export function newScore({ down, up }: ScoreThresholds = DEFAULT_THRESHOLDS): UplinkScore {
  return { state: 'unknown', points: down * up, losses: [], validated: false, captivePortal: false };
}

/** Samples are to be in the order of `atMs`. */
export function addSample(
  score: UplinkScore,
  sample: HealthSample,
  thresholds: ScoreThresholds = DEFAULT_THRESHOLDS,
): UplinkScore {
  const losses = [...score.losses, sample.lossRatio].slice(-LOSS_WINDOW);
  const smoothedRttMs = smoothed(score, sample);
  const quality = qualityOf(average(losses.slice(-QUALITY_WINDOW)), smoothedRttMs ?? 0, thresholds);
  const points = nextPoints(score, quality, thresholds);
  const state = nextState(score.state, points, quality, thresholds);
  const toldRttMs = smoothedRttMs === undefined ? undefined : tellRtt(score.toldRttMs, smoothedRttMs);
  return {
    state,
    points,
    losses,
    ...(smoothedRttMs !== undefined && { smoothedRttMs }),
    ...(toldRttMs !== undefined && { toldRttMs }),
    toldLossRatio: tellLoss(score.toldLossRatio, average(losses)),
    // An answer of the gateway's does not take back what somebody beyond it has said.
    validated: state !== 'failed' && (score.validated || (sample.validated ?? false)),
    captivePortal: sample.captivePortal ?? score.captivePortal,
  };
}

/** What policy sees. */
export function healthOf({ state, toldRttMs, toldLossRatio, validated, captivePortal }: UplinkScore): FamilyHealth {
  return {
    state,
    ...(toldRttMs !== undefined && { rttMs: toldRttMs }),
    ...(toldLossRatio !== undefined && { lossRatio: toldLossRatio }),
    ...(validated && !captivePortal && { validated: true }),
    ...(captivePortal && { captivePortal: true }),
  };
}

/** Whether another sample should come soon: something is changing, or nothing is known. */
export function isUnsettled(
  { state, points, losses }: UplinkScore,
  { recover, down, up }: ScoreThresholds = DEFAULT_THRESHOLDS,
): boolean {
  if (state === 'unknown') return true;
  const isLatestFine = (losses.at(-1) ?? 0) < recover.lossRatio;
  return state === 'good' ? !isLatestFine || points < down * up : isLatestFine || points > 0;
}

type Quality = 'bad' | 'between' | 'fine';

function qualityOf(lossRatio: number, rttMs: number, { fail, recover }: ScoreThresholds): Quality {
  if (lossRatio > fail.lossRatio || rttMs > fail.rttMs) return 'bad';
  return lossRatio < recover.lossRatio && rttMs < recover.rttMs ? 'fine' : 'between';
}

/** What is neither bad nor fine leads back to where the score was settled: no number of such samples changes the state. */
function nextPoints({ state, points }: UplinkScore, quality: Quality, { down, up }: ScoreThresholds): number {
  const [worse, better] = [Math.max(0, points - up), Math.min(down * up, points + down)];
  if (quality === 'bad') return worse;
  if (quality === 'fine') return better;
  return { good: better, failed: worse, unknown: points }[state];
}

function nextState(
  before: FamilyHealth['state'],
  points: number,
  quality: Quality,
  { down, up }: ScoreThresholds,
): FamilyHealth['state'] {
  if (points === 0) return 'failed';
  if (before === 'unknown') return quality === 'fine' ? 'good' : 'unknown';
  return points === down * up ? 'good' : before;
}

function smoothed({ smoothedRttMs: before, losses }: UplinkScore, { rttMs }: HealthSample): number | undefined {
  if (rttMs === undefined || before === undefined) return rttMs ?? before;
  if (losses.length < FIRST_SAMPLES) return Math.min(before, rttMs);
  return before + (rttMs - before) * RTT_ALPHA;
}

/** Two digits; the same as before as long as it is about right. */
function tellRtt(told: number | undefined, rttMs: number): number {
  const tolerance = Math.max(RTT_TOLERANCE_MS, (told ?? 0) * RTT_TOLERANCE_RATIO);
  if (told !== undefined && Math.abs(rttMs - told) <= tolerance) return told;
  return rttMs < 1 ? 1 : Number(rttMs.toPrecision(2));
}

function tellLoss(told: number | undefined, lossRatio: number): number {
  // Nothing and everything are told as soon as they are so: nobody would understand otherwise.
  const isPlain = lossRatio === 0 || lossRatio === 1;
  if (told !== undefined && !isPlain && Math.abs(lossRatio - told) < LOSS_TOLERANCE) return told;
  return Math.round(lossRatio / LOSS_STEP) / Math.round(1 / LOSS_STEP);
}

const average = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
