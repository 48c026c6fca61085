import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { parseAddress } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import type { PassiveReading } from './passive-health.ts';
import type { ProbeOutcome } from './probe.ts';
import { METERED_PROBE_LIMITS, PROBE_LIMITS } from './probe-budget.ts';
import { describeTarget } from './probe-targets.ts';
import { MAX_PROBES_AT_ONCE, UplinkHealth } from './uplink-health.ts';

const MINUTE_MS = 60_000;
const TIMEOUT_MS = 2000;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const FIRST = 'icmp 192.0.2.1';
const SECOND = 'icmp 192.0.2.2';
const GATEWAY = 'icmp 10.0.0.1';
const TARGETS = { icmp: [address('192.0.2.1'), address('192.0.2.2')], tcp: [], intervalMs: 10_000 };

function uplink(probe?: Uplink['probe'], { name = 'home', metered = false } = {}): Uplink {
  return {
    name,
    device: 'eth0',
    priority: 100,
    properties: { type: 'other', metered, roaming: false, trusted: false, encrypted: false },
    gateways: {},
    ...(probe !== undefined && { probe }),
    at: { file: `${name}.yaml`, line: 1, column: 1 },
  };
}

function upState(changes: Partial<UplinkState> = {}): UplinkState {
  return {
    name: 'home',
    id: 1,
    device: 'eth0',
    deviceIndex: 2,
    up: true,
    v4: true,
    v6: false,
    addresses: [address('10.0.0.2')],
    onLink: [],
    gateways: { v4: address('10.0.0.1') },
    ...changes,
  };
}

/** A network in which some answer; who does not is lost after the time that a probe waits. */
function network(answers: Record<string, ProbeOutcome> = {}) {
  const sent: { readonly target: string; readonly atMs: number; readonly uplinkId: number }[] = [];
  const readings = new Map<string, PassiveReading>();
  let [changes, underWay, mostUnderWay] = [0, 0, 0];
  const health = new UplinkHealth({
    background: testBackground,
    probe: async (target, { uplinkId }) => {
      sent.push({ target: describeTarget(target), atMs: Date.now(), uplinkId });
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      const outcome = answers[describeTarget(target)];
      await new Promise((resolve) => setTimeout(resolve, outcome?.kind === 'answered' ? outcome.rttMs : TIMEOUT_MS));
      underWay -= 1;
      return outcome ?? { kind: 'lost' };
    },
    readPassive: () => readings,
    nowMs: () => Date.now(),
    random: () => 0.5,
    onChange: () => {
      changes += 1;
    },
  });
  return {
    health,
    sent,
    answers,
    readings,
    changes: () => changes,
    mostUnderWay: () => mostUnderWay,
    sentTo: (target: string) => sent.filter((one) => one.target === target).length,
    v4: () => health.healths().get('home')?.v4,
  };
}

const answered = (rttMs = 20): ProbeOutcome => ({ kind: 'answered', rttMs });
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const ALIVE: PassiveReading = { alive: 3, stalledPeers: 0, lossRatio: 0, rttMs: 40 };

describe('UplinkHealth', () => {
  it('UplinkHealth asks the gateway where the file names nobody, and takes it for no more than a link that works', async () => {
    const { health, sent, v4 } = network({ [GATEWAY]: answered(1) });
    health.follow([uplink()], [upState()]);
    await pass(1000);
    expect(sent).toMatchObject([{ target: GATEWAY, uplinkId: 1 }]);
    expect(v4()).toEqual({ state: 'good', rttMs: 1, lossRatio: 0 });
  });

  it('UplinkHealth does not hold it against an uplink that its gateway answers no echo requests', async () => {
    const { health, sent } = network();
    health.follow([uplink()], [upState()]);
    await pass(10 * MINUTE_MS);
    expect(health.healths().size).toBe(0);
    expect(sent.length).toBeGreaterThan(10);
  });

  it('UplinkHealth has an uplink fail whose gateway has stopped to answer, and recover', async () => {
    const { health, answers, v4 } = network({ [GATEWAY]: answered(1) });
    health.follow([uplink()], [upState()]);
    await pass(MINUTE_MS);
    delete answers[GATEWAY];
    await pass(MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'failed' });
    answers[GATEWAY] = answered(1);
    await pass(MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'good' });
  });

  it('UplinkHealth tells of a change of what it says, and of nothing else', async () => {
    const { health, answers, changes } = network({ [FIRST]: answered(20) });
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(1000);
    expect(changes()).toBe(1);
    for (let delayMs = 18; delayMs < 23; delayMs++) {
      answers[FIRST] = answered(delayMs);
      await pass(MINUTE_MS);
    }
    expect(changes()).toBe(1);
    answers[FIRST] = answered(200);
    await pass(MINUTE_MS);
    expect(changes()).toBeGreaterThan(1);
  });

  it('UplinkHealth asks another target where one does not answer, and stays with it', async () => {
    const { health, sentTo, v4 } = network({ [SECOND]: answered(20) });
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(5 * MINUTE_MS);
    expect(v4()).toEqual({ state: 'good', rttMs: 20, lossRatio: 0, validated: true });
    expect(sentTo(FIRST)).toBe(1);
    expect(sentTo(SECOND)).toBeGreaterThan(20);
  });

  it('UplinkHealth takes an uplink for failed when no target answers', async () => {
    const { health, v4 } = network();
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(MINUTE_MS);
    expect(v4()).toEqual({ state: 'failed', lossRatio: 1 });
  });

  it('UplinkHealth sends nothing where connections tell', async () => {
    const { health, sent, readings, v4 } = network({ [FIRST]: answered() });
    readings.set('home 4', ALIVE);
    for (let round = 0; round < 100; round++) {
      health.follow([uplink({ ...TARGETS, intervalMs: 1000 })], [upState()]);
      await pass(3000);
    }
    expect(sent).toEqual([]);
    expect(v4()).toEqual({ state: 'good', rttMs: 40, lossRatio: 0, validated: true });
    readings.clear();
    await pass(MINUTE_MS);
    expect(sent.length).toBeGreaterThan(0);
  });

  it('UplinkHealth keeps another pace as soon as the file says so', async () => {
    const { health, sent } = network({ [FIRST]: answered() });
    health.follow([uplink({ ...TARGETS, intervalMs: 30 * MINUTE_MS })], [upState()]);
    await pass(MINUTE_MS);
    expect(sent).toHaveLength(1);
    health.follow([uplink({ ...TARGETS, intervalMs: 5000 })], [upState()]);
    await pass(6000);
    expect(sent).toHaveLength(2);
  });

  it('UplinkHealth asks at once when connections stall', async () => {
    const { health, sent, readings } = network({ [FIRST]: answered() });
    health.follow([uplink({ ...TARGETS, intervalMs: 30 * MINUTE_MS })], [upState()]);
    await pass(MINUTE_MS);
    expect(sent).toHaveLength(1);
    readings.set('home 4', { alive: 0, stalledPeers: 1, lossRatio: 0 });
    await pass(6000);
    expect(sent.length).toBeGreaterThan(1);
  });

  it('UplinkHealth sends nothing where the file says off, and believes several stalled peers', async () => {
    const { health, sent, readings, v4 } = network({ [GATEWAY]: answered() });
    health.follow([uplink('off')], [upState()]);
    readings.set('home 4', { alive: 0, stalledPeers: 1, lossRatio: 0 });
    await pass(5 * MINUTE_MS);
    expect(v4()).toBeUndefined();
    readings.set('home 4', { alive: 0, stalledPeers: 2, lossRatio: 0 });
    await pass(5 * MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'failed' });
    readings.set('home 4', ALIVE);
    await pass(5 * MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'good' });
    expect(sent).toEqual([]);
  });

  it.each([
    [false, PROBE_LIMITS.probesPerMinute],
    [true, METERED_PROBE_LIMITS.probesPerMinute],
  ])(
    'UplinkHealth (metered: %s) sends no more than %i probes in any minute, both families together',
    async (metered, most) => {
      const { health, sent } = network({ 'icmp 192.0.2.1': answered(1), 'icmp 2001:db8::1': answered(1) });
      const probe = { icmp: [address('192.0.2.1'), address('2001:db8::1')], tcp: [], intervalMs: 1000 };
      const addresses = [address('10.0.0.2'), address('2001:db8::2')];
      health.follow([uplink(probe, { metered })], [upState({ v6: true, addresses })]);
      await pass(5 * MINUTE_MS);
      for (const { atMs } of sent) {
        const minute = sent.filter((one) => one.atMs >= atMs && one.atMs < atMs + MINUTE_MS);
        expect(minute.length).toBeLessThanOrEqual(most);
      }
      expect(new Set(sent.map(({ target }) => target)).size).toBe(2);
    },
  );

  it('UplinkHealth finds a captive portal beside a target that answers, and its end', async () => {
    const http = { host: 'portal.example', port: 80, path: '/' };
    const page = 'http portal.example port 80';
    const { health, answers, sentTo, v4 } = network({
      [FIRST]: answered(),
      [page]: { kind: 'answered', rttMs: 20, captivePortal: false },
    });
    health.follow([uplink({ ...TARGETS, http })], [upState()]);
    await pass(10 * MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'good', validated: true });
    expect(sentTo(page)).toBeLessThanOrEqual(11);
    answers[page] = { kind: 'answered', rttMs: 20, captivePortal: true };
    await pass(2 * MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'good', captivePortal: true });
    answers[page] = { kind: 'answered', rttMs: 20, captivePortal: false };
    await pass(12_000);
    expect(v4()).not.toHaveProperty('captivePortal');
  });

  it('UplinkHealth forgets what it knows of a family that goes, and of another device', async () => {
    const { health, v4 } = network();
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'failed' });
    health.follow([uplink(TARGETS)], [upState({ deviceIndex: 3 })]);
    expect(v4()).toBeUndefined();
    await pass(MINUTE_MS);
    expect(v4()).toMatchObject({ state: 'failed' });
    health.follow([uplink(TARGETS)], [upState({ v4: false })]);
    expect(v4()).toBeUndefined();
  });

  it('UplinkHealth keeps what it knows through rounds that change nothing, also in the midst of a probe', async () => {
    const { health, sent } = network();
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(500);
    expect(sent).toHaveLength(1);
    for (let round = 0; round < 20; round++) {
      health.follow([uplink(TARGETS)], [upState()]);
      await pass(10);
    }
    expect(sent).toHaveLength(1);
  });

  it('UplinkHealth says why nothing could be sent, and takes it for no news', async () => {
    const { health, answers, changes, v4 } = network({ [FIRST]: { kind: 'not sent', because: 'EPERM' } });
    answers[SECOND] = { kind: 'not sent', because: 'EPERM' };
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(MINUTE_MS);
    expect(v4()).toBeUndefined();
    expect(health.notProbed()).toEqual([{ uplink: 'home', family: 4, because: 'EPERM' }]);
    // Said once, and at once: nobody looks for it.
    expect(changes()).toBe(1);
    answers[FIRST] = answered();
    await pass(MINUTE_MS);
    expect(health.notProbed()).toEqual([]);
  });

  it('UplinkHealth gives each of 100 dead uplinks its turn, a bounded number at once', async () => {
    const { health, sent, mostUnderWay } = network();
    const names = Array.from({ length: 100 }, (_, index) => `up${index}`);
    health.follow(
      names.map((name) => uplink(TARGETS, { name })),
      names.map((name, index) => upState({ name, id: index + 1 })),
    );
    await pass(MINUTE_MS);
    expect(health.healths().size).toBe(100);
    expect(new Set(sent.map(({ uplinkId }) => uplinkId)).size).toBe(100);
    expect(mostUnderWay()).toBeLessThanOrEqual(MAX_PROBES_AT_ONCE);
  });

  it('UplinkHealth sends nothing more once it is disposed of, and has ended what was under way', async () => {
    const { health, sent, changes } = network({ [FIRST]: answered(500) });
    health.follow([uplink(TARGETS)], [upState()]);
    await pass(300);
    expect(sent).toHaveLength(1);
    const disposed = health[Symbol.asyncDispose]();
    await pass(MINUTE_MS);
    await disposed;
    expect([sent.length, changes()]).toEqual([1, 0]);
  });
});
