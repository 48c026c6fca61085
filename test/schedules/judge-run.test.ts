import { describe, expect, it } from 'vitest';
import { type Attempt, judgeRun, type Packet, type Run } from './judge-run.ts';
import { portOf, type Row, type RowPolicy, type Schedule } from './schedule.ts';

const rowOf = (policy: RowPolicy, more: Partial<Row> = {}): Row => ({
  telling: 'exec',
  policy,
  kind: 'udp',
  family: 4,
  style: 'brief',
  path: 'plain',
  periodMs: 100,
  ...more,
});
const attemptOf = (more: Partial<Attempt> = {}): Attempt => ({
  row: 0,
  era: 0,
  beganUs: 5000,
  endedUs: 6000,
  result: 'sent',
  id: '7.1',
  ...more,
});
const packetOf = (uplink: Packet['uplink'], more: Partial<Packet> = {}): Packet => ({
  atUs: 5500,
  uplink,
  port: portOf(0, 0),
  id: '7.1',
  ...more,
});
function judged(rows: readonly Row[], run: Partial<Run>, steps: Schedule['steps'] = []): string[] {
  const whole: Run = {
    schedule: { seed: 1, rows, steps },
    packets: [],
    attempts: [],
    away: [],
    down: [],
    touched: new Map(),
    eventsUs: [],
    ...run,
  };
  return judgeRun(whole).map(({ kind, how, row, count }) => `${kind} ${how} row ${row} x${count}`);
}

describe('judgeRun()', () => {
  it.each([
    ['deny', 'wifi', true],
    ['deny', 'vpn', true],
    ['cellular', 'wifi', true],
    ['cellular', 'cellular', false],
    ['vpn', 'cellular', true],
    ['vpn', 'vpn', false],
    ['allow', 'wifi', false],
    ['allow', 'cellular', true],
    ['none', 'vpn', true],
    ['none', 'wifi', false],
  ] as const)('a packet of %s that arrives by %s is astray: %s', (policy, uplink, isAstray) => {
    const found = judged([rowOf(policy)], { packets: [packetOf(uplink)], attempts: [attemptOf()] });
    expect(found).toEqual(isAstray ? [`astray ${uplink} row 0 x1`] : []);
  });

  it("lets whoever goes by the system's route take another uplink where wifi was lost", () => {
    const run = { packets: [packetOf('cellular')], attempts: [attemptOf()] };
    expect(judged([rowOf('allow')], { ...run, down: [{ uplink: 'wifi', fromUs: 1, toUs: 2 }] })).toEqual([]);
    expect(judged([rowOf('vpn')], { ...run, down: [{ uplink: 'wifi', fromUs: 1, toUs: 2 }] })).toHaveLength(1);
  });

  it('goes by the policy of the era', () => {
    const steps = [{ afterMs: 0, event: { kind: 'reload', changes: [{ row: 0, policy: 'deny' }] } }] as const;
    const packets = [packetOf('wifi'), packetOf('wifi', { port: portOf(0, 1) })];
    const attempts = [attemptOf(), attemptOf({ era: 1 })];
    expect(judged([rowOf('allow')], { packets, attempts }, steps)).toEqual(['astray wifi row 0 x1']);
  });

  it('misses each datagram that was sent and has not arrived', () => {
    const attempts = [attemptOf(), attemptOf({ id: '7.2' }), attemptOf({ id: '7.3' })];
    expect(judged([rowOf('allow')], { packets: [packetOf('wifi')], attempts })).toEqual(['lost sent row 0 x2']);
  });

  it('tells what was refused from what was not answered, and neither of whom policy refuses', () => {
    const attempts = ['EPERM', 'timeout', 'answered'].map((result) => attemptOf({ result }));
    const packets = [packetOf('wifi')];
    expect(judged([rowOf('allow')], { packets, attempts })).toEqual([
      'refused EPERM row 0 x1',
      'lost timeout row 0 x1',
    ]);
    expect(judged([rowOf('deny')], { attempts })).toEqual([]);
  });

  it('expects of who is known that nobody need be there, and not of who must be asked about', () => {
    const away = [{ fromUs: 5500, toUs: 9000 }];
    const run = { away, packets: [packetOf('wifi')], attempts: [attemptOf({ result: 'EPERM' }), attemptOf()] };
    const refused = ['refused EPERM row 0 x1'];
    expect(judged([rowOf('allow')], run)).toEqual(refused);
    expect(judged([rowOf('none', { namesakeOf: 1 })], run)).toEqual([]);
    expect(judged([rowOf('allow')], { ...run, touched: new Map([[0, 4000]]) })).toEqual([]);
    expect(judged([rowOf('allow')], { ...run, touched: new Map([[0, 7000]]) })).toEqual(refused);
    expect(judged([rowOf('allow', { telling: 'script' })], run)).toEqual([]);
    expect(judged([rowOf('none', { namesakeOf: 1 })], { ...run, away: [] })).toEqual(refused);
  });

  it('expects nothing of an uplink that is down, and everything of the others', () => {
    const run = { packets: [packetOf('vpn')], attempts: [attemptOf({ result: 'EPERM' }), attemptOf()] };
    const down = (uplink: Packet['uplink']) => [{ uplink, fromUs: 5500, toUs: 9000 }];
    expect(judged([rowOf('vpn')], { ...run, down: down('vpn') })).toEqual([]);
    expect(judged([rowOf('vpn')], { ...run, down: down('wifi') })).toEqual(['refused EPERM row 0 x1']);
    const over = [{ uplink: 'vpn', fromUs: 1000, toUs: 4000 }] as const;
    expect(judged([rowOf('vpn')], { ...run, down: over })).toEqual(['refused EPERM row 0 x1']);
  });

  it('takes what was under way when a link went down for lost with it', () => {
    const run = { packets: [packetOf('vpn')], attempts: [attemptOf({ id: '7.2' }), attemptOf()] };
    const down = (fromUs: number) => [{ uplink: 'vpn', fromUs, toUs: 9_000_000 }] as const;
    expect(judged([rowOf('vpn')], { ...run, down: down(400_000) })).toEqual([]);
    expect(judged([rowOf('vpn')], { ...run, down: down(600_000) })).toEqual(['lost sent row 0 x1']);
  });

  it('says of whom nothing was seen', () => {
    expect(judged([rowOf('deny')], {})).toEqual(['silent no attempt row 0 x1']);
    const attempts = [attemptOf({ result: 'EADDRINUSE' })];
    expect(judged([rowOf('allow')], { attempts })).toEqual(['silent no attempt row 0 x1']);
    expect(judged([rowOf('allow')], { attempts: [attemptOf({ result: 'answered' })] })).toEqual([
      'silent nothing arrived row 0 x1',
    ]);
  });

  it('names the event before the first of many', () => {
    const packets = [
      packetOf('wifi', { atUs: 42_000 }),
      packetOf('wifi', { atUs: 41_000 }),
      packetOf('wifi', { atUs: 90_000 }),
    ];
    const schedule: Schedule = { seed: 1, rows: [rowOf('deny')], steps: [] };
    const run = {
      schedule,
      packets,
      attempts: [attemptOf()],
      away: [{ fromUs: 80_000, toUs: 99_000 }],
      down: [],
      touched: new Map(),
    };
    expect(judgeRun({ ...run, eventsUs: [1000, 40_000, 80_000] })).toMatchObject([
      { count: 2, event: 1, msAfterEvent: 1, isAway: false },
      { count: 1, event: 2, msAfterEvent: 10, isAway: true },
    ]);
  });
});
