import { describe, expect, it } from 'vitest';
import { generateSchedule, MIN_EVENTS, MIN_ROWS } from './generate-schedule.ts';
import { describeSchedule, erasOf, ofPort, portOf, type Schedule } from './schedule.ts';

const SEEDS = Array.from({ length: 400 }, (_, i) => i);
const schedules = SEEDS.map(generateSchedule);
/** How often at least one schedule in a hundred has it. */
const RARE = schedules.length / 100;

const countOf = <T>(values: readonly T[]): Map<T, number> => {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};
const touchesOf = ({ steps }: Schedule) =>
  steps.flatMap(({ event }) =>
    event.kind === 'touch' ? [event.touch] : event.kind === 'kill' || event.kind === 'stop' ? event.meanwhile : [],
  );

describe('generateSchedule()', () => {
  it('of the same seed is the same, to the word, and of another seed another', () => {
    for (const seed of SEEDS.slice(0, 50)) expect(generateSchedule(seed)).toEqual(schedules[seed]);
    expect(new Set(schedules.map((schedule) => describeSchedule({ ...schedule, seed: 0 }))).size).toBe(
      schedules.length,
    );
  });

  it('has at least 20 senders and 6 events, and one to three absences of the daemon', () => {
    for (const { rows, steps } of schedules) {
      expect(rows.length).toBeGreaterThanOrEqual(MIN_ROWS);
      expect(steps.length).toBeGreaterThanOrEqual(MIN_EVENTS);
      const absences = steps.filter(({ event }) => ['kill', 'stop', 'replace'].includes(event.kind)).length;
      expect(absences).toBeGreaterThanOrEqual(1);
      expect(absences).toBeLessThanOrEqual(3);
    }
  });

  it('has every policy at least twice in each schedule', () => {
    for (const { rows } of schedules) {
      const counts = countOf(rows.map(({ policy }) => policy));
      for (const policy of ['deny', 'cellular', 'vpn', 'allow', 'none'] as const)
        expect(counts.get(policy)).toBeGreaterThanOrEqual(2);
    }
  });

  it('reaches every way of telling, sending and leading to a file, under every policy', () => {
    const rows = schedules.flatMap(({ rows: all }) => all);
    const styles = countOf(rows.map(({ style, kind, family }) => `${style} ${kind} ${family}`));
    for (const style of ['brief', 'ask', 'keep', 'reuse', 'pass', 'forks', 'family'])
      for (const kind of ['tcp', 'udp', 'udp-connected'])
        for (const family of [4, 6]) expect(styles.get(`${style} ${kind} ${family}`)).toBeGreaterThan(RARE);
    const tellings = countOf(rows.map(({ telling, policy, path }) => `${telling} ${policy} ${path}`));
    for (const policy of ['deny', 'cellular', 'vpn', 'allow']) {
      for (const telling of ['exec', 'cgroup', 'user', 'children', 'script'])
        expect(tellings.get(`${telling} ${policy} plain`)).toBeGreaterThan(RARE);
      for (const path of ['directory-link', 'file-link'])
        expect(tellings.get(`exec ${policy} ${path}`)).toBeGreaterThan(RARE);
    }
    expect(rows.filter(({ namesakeOf }) => namesakeOf !== undefined).length).toBeGreaterThan(RARE);
  });

  it('reaches every event, also while no daemon is there', () => {
    const events = countOf(schedules.flatMap(({ steps }) => steps.map(({ event }) => event.kind)));
    for (const kind of ['kill', 'stop', 'replace', 'reload', 'touch', 'crowd', 'uplink', 'flood'] as const)
      expect(events.get(kind)).toBeGreaterThan(RARE);
    const touches = countOf(schedules.flatMap((schedule) => touchesOf(schedule).map(({ kind }) => kind)));
    for (const kind of ['upgrade', 'switch', 'chmod', 'hard-link', 'new-cgroup', 'cgroup-again'] as const)
      expect(touches.get(kind)).toBeGreaterThan(RARE);
    const meanwhile = schedules.flatMap(({ steps }) =>
      steps.flatMap(({ event }) => (event.kind === 'kill' || event.kind === 'stop' ? event.meanwhile : [])),
    );
    expect(meanwhile.length).toBeGreaterThan(RARE);
  });

  it('gives each row and era a port of its own', () => {
    for (const schedule of schedules) {
      const ports = schedule.rows.flatMap((_, row) => erasOf(schedule, row).map((_policy, era) => portOf(row, era)));
      expect(new Set(ports).size).toBe(ports.length);
      expect(ports.map((port) => portOf(ofPort(port).row, ofPort(port).era))).toEqual(ports);
    }
  });
});
