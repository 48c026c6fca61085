import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { MAX_HELD_MS, type ScriptProgram } from './script-gate.ts';
import { ScriptGuard } from './script-guard.ts';

const refusal = new KernelError('fanotify_mark', 28, 'ENOSPC', '/opt/x.py', 'no room');
const STEP_MS = MAX_HELD_MS / 4;
const list = (...paths: readonly string[]): ReadonlyMap<string, ScriptProgram> =>
  new Map(paths.map((path, i) => [path, { number: i + 1 }]));

/** What is watched: its paths, or that nobody is held. */
class Watch {
  state: readonly string[] | 'released' = [];
  refuses = false;

  watch(listed: ReadonlyMap<string, ScriptProgram>): void {
    if (this.refuses) throw refusal;
    this.state = [...listed.keys()];
  }

  release(): void {
    if (this.refuses) throw refusal;
    this.state = 'released';
  }
}

let watch: Watch;
let clock: { ms: number; beats: number };
let told: (string | undefined)[];
let guard: ScriptGuard;

beforeEach(() => {
  watch = new Watch();
  clock = { ms: 0, beats: 0 };
  told = [];
  guard = new ScriptGuard({
    background: testBackground,
    watch,
    beats: () => clock.beats,
    onChange: (released) => told.push(released),
    monotonicMs: () => clock.ms,
  });
  guard.watch(list('/opt/x.py'));
  guard.look();
});

afterEach(() => guard[Symbol.dispose]());

/** Time in which the answering thread gives signs of life, or does not. */
function pass(ms: number, isAlive: boolean): void {
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    clock.ms += STEP_MS;
    if (isAlive) clock.beats += 1;
    guard.look();
  }
}

describe('ScriptGuard', () => {
  it('ScriptGuard holds starts as long as the thread gives signs of life', () => {
    pass(10 * MAX_HELD_MS, true);
    expect([watch.state, told, guard.released]).toEqual([['/opt/x.py'], [], undefined]);
  });

  it('ScriptGuard lets everybody go on before anybody is held longer than the bound, and says so once', () => {
    pass(MAX_HELD_MS - 2 * STEP_MS, false);
    expect(watch.state).toEqual(['/opt/x.py']);
    pass(STEP_MS, false);
    expect(watch.state).toBe('released');
    pass(10 * MAX_HELD_MS, false);
    expect(told).toEqual(['the thread that decides does not answer']);
    expect(guard.released).toBe(told[0]);
  });

  it('ScriptGuard lets everybody go on where it never heard of the thread', () => {
    guard[Symbol.dispose]();
    guard = new ScriptGuard({
      background: testBackground,
      watch,
      beats: () => 0,
      onChange: (released) => told.push(released),
      monotonicMs: () => clock.ms,
    });
    guard.watch(list('/opt/x.py'));
    pass(2 * MAX_HELD_MS, false);
    expect(watch.state).toBe('released');
  });

  it('ScriptGuard begins again with the scripts that are listed by then, at the first sign of life', () => {
    pass(MAX_HELD_MS, false);
    guard.watch(list('/opt/y.py', '/opt/z.py'));
    expect(watch.state).toBe('released');
    pass(STEP_MS, true);
    expect(watch.state).toEqual(['/opt/y.py', '/opt/z.py']);
    expect(told).toEqual([expect.any(String), undefined]);
    expect(guard.released).toBeUndefined();
    pass(MAX_HELD_MS, false);
    expect(watch.state).toBe('released');
  });

  it('ScriptGuard tries again where nobody could be let go, and has told nobody', () => {
    watch.refuses = true;
    pass(2 * MAX_HELD_MS, false);
    expect([watch.state, told]).toEqual([['/opt/x.py'], []]);
    watch.refuses = false;
    pass(STEP_MS, false);
    expect(watch.state).toBe('released');
  });

  it('ScriptGuard stays released where it cannot begin again, says why, and tries at the next sign', () => {
    pass(MAX_HELD_MS, false);
    watch.refuses = true;
    pass(3 * STEP_MS, true);
    expect(guard.released).toBe(refusal.message);
    expect(told).toEqual(['the thread that decides does not answer', refusal.message]);
    watch.refuses = false;
    pass(STEP_MS, true);
    expect([watch.state, guard.released]).toEqual([['/opt/x.py'], undefined]);
  });

  it('ScriptGuard lets mistakes of our own through', () => {
    watch.release = () => {
      throw new TypeError('a mistake');
    };
    expect(() => pass(MAX_HELD_MS, false)).toThrow(TypeError);
  });
});
