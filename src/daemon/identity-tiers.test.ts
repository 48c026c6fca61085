import { describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { cgroupTreeAt } from '../kernel/cgroup.ts';
import { FakeSocketMarks } from '../kernel/fake/fake-socket-marks.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { type IdentityTiers, identityStatus, openIdentityTiers } from './identity-tiers.ts';
import type { ScriptWatch } from './script-watch.ts';

const refusal = new KernelError('open raw tracepoint', 1, 'EPERM', 'sched_process_fork', 'not permitted');
const NOT_KEPT = 'nothing is kept here';
/** Of the watch only that it is there is looked at. */
const scripts = {} as ScriptWatch;
const tiers = (parts: Pick<IdentityTiers, 'marks' | 'scripts'>): IdentityTiers => ({
  ...parts,
  notKept: undefined,
  [Symbol.dispose]: () => undefined,
});

describe('openIdentityTiers', () => {
  it('openIdentityTiers() says what is missing where there is no cgroup2, and that scripts need it', () => {
    using opened = openIdentityTiers(undefined, () => undefined, testBackground, NOT_KEPT, {});
    expect(opened.marks).toBe('this machine has no cgroup2 hierarchy');
    expect(opened.scripts).toBe('sockets are not marked: this machine has no cgroup2 hierarchy');
  });

  it('openIdentityTiers() never throws: what the kernel refuses is said', () => {
    using opened = openIdentityTiers(cgroupTreeAt('/nowhere/at/all'), () => undefined, testBackground, NOT_KEPT, {});
    expect(opened.marks).toEqual(expect.stringMatching(/.: ./));
    expect(opened.scripts).toBe(`sockets are not marked: ${opened.marks}`);
  });

  it.each([
    ['bpf', true, false],
    ['fanotify', false, true],
    ['fanotify,bpf', true, true],
    ['else', false, false],
    ['', false, false],
  ])('openIdentityTiers() leaves out what POINTSMAN_WITHOUT=%s says', (without, noMarks, noScripts) => {
    using opened = openIdentityTiers(undefined, () => undefined, testBackground, NOT_KEPT, {
      POINTSMAN_WITHOUT: without,
    });
    expect(opened.marks === 'POINTSMAN_WITHOUT says so').toBe(noMarks);
    expect(opened.scripts === 'POINTSMAN_WITHOUT says so').toBe(noScripts);
  });
});

describe('identityStatus', () => {
  it('identityStatus() says that the kernel tells everything, and counts', () => {
    const marks = new FakeSocketMarks();
    marks.writeFile('/usr/bin/a');
    marks.makeSocket(marks.start('/usr/bin/a'), 4);
    expect(identityStatus(tiers({ marks, scripts }), undefined, undefined)).toEqual({
      executables: { inKernel: true },
      scripts: { inKernel: true },
      children: { inKernel: true },
      kept: { inKernel: true },
      sockets: { marked: 0, unmarked: 1, foreign: 0, tasksLost: 0 },
    });
  });

  it('identityStatus() says why scripts are not told: for now, or not at all', () => {
    const marks = new FakeSocketMarks();
    expect(identityStatus(tiers({ marks, scripts }), 'it hangs', undefined).scripts).toEqual({
      inKernel: false,
      because: 'it hangs',
    });
    expect(identityStatus(tiers({ marks, scripts: 'no fanotify' }), 'it hangs', undefined).scripts).toEqual({
      inKernel: false,
      because: 'no fanotify',
    });
  });

  it('identityStatus() says what goes on without inheritance, and without marks', () => {
    const because = refusal.message;
    const marks = new FakeSocketMarks({ inheritanceRefusal: refusal });
    expect(identityStatus(tiers({ marks, scripts: because }), undefined, NOT_KEPT)).toMatchObject({
      executables: { inKernel: true },
      scripts: { inKernel: false, because },
      children: { inKernel: false, because },
      kept: { inKernel: false, because: NOT_KEPT },
      sockets: {},
    });
    const without = identityStatus(
      tiers({ marks: 'no BPF', scripts: 'sockets are not marked: no BPF' }),
      undefined,
      NOT_KEPT,
    );
    expect(without).toEqual({
      executables: { inKernel: false, because: 'no BPF' },
      scripts: { inKernel: false, because: 'sockets are not marked: no BPF' },
      children: { inKernel: false, because: 'no BPF' },
    });
  });
});
