import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addSample,
  DEFAULT_THRESHOLDS,
  type HealthSample,
  healthOf,
  isUnsettled,
  newScore,
  type ScoreThresholds,
  type UplinkScore,
} from './uplink-score.ts';

const answered = (rttMs: number): HealthSample => ({ source: 'icmp', atMs: 0, lossRatio: 0, rttMs });
const LOST: HealthSample = { source: 'icmp', atMs: 0, lossRatio: 1 };
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const run = (samples: readonly HealthSample[], from = newScore(), thresholds = DEFAULT_THRESHOLDS): UplinkScore =>
  samples.reduce((score, sample) => addSample(score, sample, thresholds), from);
const states = (samples: readonly HealthSample[], from = newScore()): string[] => {
  let score = from;
  return samples.map((sample) => {
    score = addSample(score, sample);
    return score.state;
  });
};
const ORDER = { failed: 0, unknown: 1, good: 2 } as const;

const sample = fc
  .record({ isLost: fc.boolean(), rttMs: fc.integer({ min: 1, max: 3000 }) })
  .map(({ isLost, rttMs }) => (isLost ? LOST : answered(rttMs)));
const thresholds: fc.Arbitrary<ScoreThresholds> = fc
  .record({ down: fc.integer({ min: 1, max: 9 }), up: fc.integer({ min: 1, max: 9 }) })
  .map((steps) => ({ ...DEFAULT_THRESHOLDS, ...steps }));

describe('addSample()', () => {
  it('addSample() takes the first answer for good', () => {
    expect(healthOf(run([answered(20)]))).toEqual({ state: 'good', rttMs: 20, lossRatio: 0 });
  });

  it('addSample() does not take the delay of a first answer for that of the uplink', () => {
    const found = run([answered(1010), answered(2), answered(3)]);
    expect(healthOf(found)).toEqual({ state: 'good', rttMs: 2, lossRatio: 0 });
    expect(healthOf(run(times(8, answered(40)), found)).rttMs).toBeGreaterThan(20);
  });

  it('addSample() says nothing of what has lost a few from the start, then that it has failed', () => {
    expect(states(times(6, LOST))).toEqual([...times(4, 'unknown'), ...times(2, 'failed')]);
  });

  it('addSample() has a good uplink fail once 5 samples in a row found more than 40 % lost', () => {
    const after = states(times(9, LOST), run(times(20, answered(20))));
    expect(after).toEqual([...times(8, 'good'), 'failed']);
  });

  it('addSample() has a failed one recover once 5 samples in a row found less than 10 % lost', () => {
    const after = states(times(15, answered(20)), run(times(20, LOST)));
    expect(after).toEqual([...times(13, 'failed'), 'good', 'good']);
  });

  it('addSample() has one fail by its delay alone', () => {
    const slow = run(times(60, answered(1500)), run(times(5, answered(20))));
    expect(slow.state).toBe('failed');
    expect(run(times(60, answered(700)), slow).state).toBe('failed');
    expect(run(times(60, answered(300)), slow).state).toBe('good');
  });

  it('addSample() never has a good one fail by samples that are not bad', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1000 })), fc.nat(9), (delays, phase) => {
        // Four of any ten: 40 %.
        const samples = delays.map((rttMs, index) => ((index + phase) % 10 < 4 ? LOST : answered(rttMs)));
        expect(states(samples, run(times(20, answered(20)))).every((state) => state === 'good')).toBe(true);
      }),
    );
  });

  it('addSample() never has a failed one recover by samples that are not fine', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 })), fc.nat(9), (delays, phase) => {
        // One of any ten: 10 %.
        const samples = delays.map((rttMs, index) => ((index + phase) % 10 < 1 ? LOST : answered(rttMs)));
        expect(states(samples, run(times(20, LOST))).every((state) => state === 'failed')).toBe(true);
      }),
    );
  });

  it('addSample() changes between good and failed after at least as many samples as the thresholds say', () => {
    fc.assert(
      fc.property(thresholds, fc.array(sample, { maxLength: 200 }), (given, samples) => {
        let score = newScore(given);
        let since = 0;
        for (const one of samples) {
          const before = score.state;
          score = addSample(score, one, given);
          since += 1;
          if (before === score.state) continue;
          if (score.state === 'failed' && before === 'good') expect(since).toBeGreaterThanOrEqual(given.down);
          if (score.state === 'good' && before === 'failed') expect(since).toBeGreaterThanOrEqual(given.up);
          since = 0;
        }
      }),
    );
  });

  it('addSample() never gives a better state for more that is lost', () => {
    const lost = fc.array(fc.record({ first: fc.boolean(), second: fc.boolean() }), { maxLength: 200 });
    fc.assert(
      fc.property(thresholds, lost, fc.integer({ min: 1, max: 999 }), (given, list, rttMs) => {
        let [better, worse] = [newScore(given), newScore(given)];
        for (const { first, second } of list) {
          better = addSample(better, first && second ? LOST : answered(rttMs), given);
          worse = addSample(worse, first ? LOST : answered(rttMs), given);
          expect(ORDER[worse.state]).toBeLessThanOrEqual(ORDER[better.state]);
          expect(worse.points).toBeLessThanOrEqual(better.points);
        }
      }),
    );
  });

  it('addSample() never gives a better state for a longer delay', () => {
    const delays = fc.array(
      fc.record({ isLost: fc.boolean(), rttMs: fc.integer({ min: 1, max: 3000 }), more: fc.nat(2000) }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(delays, (list) => {
        let [better, worse] = [newScore(), newScore()];
        for (const { isLost, rttMs, more } of list) {
          better = addSample(better, isLost ? LOST : answered(rttMs));
          worse = addSample(worse, isLost ? LOST : answered(rttMs + more));
          expect(ORDER[worse.state]).toBeLessThanOrEqual(ORDER[better.state]);
        }
      }),
    );
  });

  it('addSample() says the same of the same samples, however long it has known them', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 100 }), (samples) => {
        expect(run(samples)).toEqual(run(samples));
        expect(run(samples).losses.length).toBeLessThanOrEqual(20);
      }),
    );
  });

  it('addSample() keeps a portal until HTTP says otherwise', () => {
    const http = (captivePortal: boolean): HealthSample => ({ ...answered(20), source: 'http', captivePortal });
    const caught = run([{ ...answered(20), validated: true }, http(true), answered(20), LOST]);
    expect(healthOf(caught)).toMatchObject({ captivePortal: true });
    expect(healthOf(caught)).not.toHaveProperty('validated');
    expect(healthOf(addSample(caught, http(false)))).toMatchObject({ validated: true });
    expect(healthOf(addSample(caught, http(false)))).not.toHaveProperty('captivePortal');
  });

  it('addSample() keeps it for validated through answers of the gateway, until it fails', () => {
    const beyond = run([{ ...answered(20), validated: true }, answered(20)]);
    expect(healthOf(beyond)).toMatchObject({ validated: true });
    expect(healthOf(run(times(20, LOST), beyond))).toMatchObject({ state: 'failed' });
    expect(healthOf(run([...times(20, LOST), ...times(20, answered(20))], beyond))).not.toHaveProperty('validated');
  });
});

describe('healthOf()', () => {
  it('healthOf() stays the same for delays that vary by a fifth', () => {
    const delays = fc.array(fc.integer({ min: 80, max: 120 }), { maxLength: 100 });
    fc.assert(
      fc.property(delays, (list) => {
        const first = run([answered(100)]);
        expect(healthOf(run(list.map(answered), first))).toEqual(healthOf(first));
      }),
    );
  });

  it('healthOf() follows a delay that has become another one', () => {
    expect(healthOf(run(times(40, answered(80)), run([answered(20)]))).rttMs).toBeGreaterThan(60);
    expect(healthOf(run(times(40, answered(3)), run([answered(80)]))).rttMs).toBeLessThan(6);
  });

  it('healthOf() tells loss in steps of 5 %, and that there is none, or nothing but loss, at once', () => {
    const one = run([LOST], run(times(20, answered(20))));
    expect(healthOf(one).lossRatio).toBe(0);
    const three = run([...times(2, LOST), ...times(5, answered(20))], one);
    expect(healthOf(three).lossRatio).toBe(0.1);
    expect(healthOf(run(times(20, answered(20)), three)).lossRatio).toBe(0);
    expect(healthOf(run(times(20, LOST), three)).lossRatio).toBe(1);
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), (samples) => {
        const { lossRatio = -1 } = healthOf(run(samples));
        expect(Math.round(lossRatio * 20) / 20).toBe(lossRatio);
      }),
    );
  });
});

describe('isUnsettled()', () => {
  it('isUnsettled() tells whether something is changing', () => {
    const good = run(times(20, answered(20)));
    const failed = run(times(20, LOST));
    expect([newScore(), good, failed].map((score) => isUnsettled(score))).toEqual([true, false, false]);
    expect(isUnsettled(addSample(good, LOST))).toBe(true);
    expect(isUnsettled(addSample(failed, answered(20)))).toBe(true);
  });
});
