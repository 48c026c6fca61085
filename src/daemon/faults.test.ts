import { beforeEach, describe, expect, it } from 'vitest';
import type { HealthWarning } from '../api/status.ts';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { Faults } from './faults.ts';
import { Health } from './health.ts';

let told: HealthWarning[];
let lines: string[];
let health: Health;

const shortage = (object: string): KernelError => new KernelError('open', 24, 'EMFILE', object, 'too many open files');

beforeEach(() => {
  told = [];
  lines = [];
  health = new Health({ clock: new FakeClock(), onChange: (warning) => told.push(warning) });
});

function faults(isDebug = false): Faults {
  const made = new Faults({ log: (line) => lines.push(line), isDebug });
  made.reportTo(health);
  return made;
}

describe('Faults', () => {
  it('Faults.hear() makes a warning of whatever was thrown, with its place, on one bounded line', () => {
    const hearing = faults();
    hearing.hear(new TypeError(`a\nfault\u001b ${'x'.repeat(5000)}`));
    hearing.hear('text');
    hearing.hear(undefined);
    expect(told.map(({ code }) => code)).toEqual(['internal-error', 'internal-error', 'internal-error']);
    expect(told[0]?.message).toMatch(/^TypeError: a fault.*\.\.\. \(faults\.test\.ts:\d+\)$/);
    expect(told.every(({ message }) => message.length < 300 && !message.includes('\n'))).toBe(true);
    expect(told[1]?.message).toBe('text');
    expect(lines).toEqual([]);
  });

  it('Faults.hear() logs the stack where it is asked for', () => {
    faults(true).hear(new Error('a fault'));
    expect(lines).toEqual([expect.stringMatching(/^pointsman: Error: a fault\n\s+at /)]);
  });

  it('Faults.hear() tells a flood of faults no more often than there are different ones, up to a bound', () => {
    const hearing = faults(true);
    const fault = new Error('the same');
    for (let i = 0; i < 1000; i += 1) hearing.hear(fault);
    expect(told).toHaveLength(1);
    for (let i = 0; i < 1000; i += 1) hearing.hear(new Error(`another ${i}`));
    expect(told).toHaveLength(16);
    expect(lines).toHaveLength(16);
  });

  it('Faults.reportTo() tells what came before there was anybody to tell', () => {
    const early = new Faults({ log: () => undefined, isDebug: false });
    early.hear(new Error('early'));
    early.reportTo(health);
    expect(health.list()).toMatchObject([{ code: 'internal-error', message: expect.stringContaining('early') }]);
  });

  it('Faults.hear() calls a lack of descriptors so, once, and Faults.look() takes it back when it is over', () => {
    const hearing = faults();
    for (const object of ['/proc/1', '/proc/2', 'socket']) hearing.hear(shortage(object));
    expect(told.map(({ code }) => code)).toEqual(['no-descriptors']);
    expect(hearing.look()).toBe(true);
    expect(health.list()).toEqual([]);
  });
});
