import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFakeWorld } from '../../test/contract/fake-world.ts';
import { testBackground } from '../../test/support/test-background.ts';
import type { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { systemClock } from '../kernel/system-clock.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { AppIds } from '../store/app-ids.ts';
import { KeptRuleset } from '../store/kept-ruleset.ts';
import { type Paths, pathsFor } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { strayFiles } from '../store/stray-files.ts';
import { Names } from '../watch/names.ts';
import { ConfirmWindow } from './confirm-window.ts';
import { Enforcement } from './enforce.ts';
import { Health } from './health.ts';
import { PolicyHistory } from './policy-history.ts';
import { StagedChange } from './staged-change.ts';

/** Longer than any test. */
const LONG_MS = 3_600_000;
const SHORT_MS = 1;

let root: string;
let paths: Paths;
let kernel: FakeKernel;
let files: PolicyFiles;
let names: Names;
let enforcement: Enforcement;
let confirmWindow: ConfirmWindow;
let health: Health;
let staged: StagedChange;

const policy = (app: string, verb: string): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - exec: /usr/bin/${app}\notherwise: ${verb}\n`;
const tried = (app: string, text: string) => [
  { path: `policies/${app}.yaml`, base64: Buffer.from(text).toString('base64') },
];
function save(directory: string, app: string, verb: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${app}.yaml`), policy(app, verb));
}
const inForce = (): Record<string, string | undefined> =>
  Object.fromEntries(enforcement.inForce?.policySet.apps.map(({ app, otherwise }) => [app, otherwise?.value.do]) ?? []);
const codes = (): string[] => health.list().map(({ code }) => code);
const saved = (app: string): string => readFileSync(join(paths.administratorPolicies, `${app}.yaml`), 'utf8');

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'pointsman-staged-'));
  paths = pathsFor(root);
  save(paths.administratorPolicies, 'a', 'allow');
  ({ kernel } = await openFakeWorld());
  files = new PolicyFiles(paths, { writesLastGood: false });
  const background = testBackground;
  const clock = systemClock;
  names = new Names({
    ...{ background, nowMs: clock.monotonicMs, onChange: () => undefined },
    lookUp: () => new Promise(() => undefined),
  });
  const history = new PolicyHistory();
  enforcement = new Enforcement({
    ...{ background, kernel, files, names, clock },
    machine: { routing: kernel.routing, cgroups: undefined, queue: 'nft', containers: { names: () => new Map() } },
    packages: { programs: () => new Map() },
    ids: new AppIds(join(dirname(paths.ids), 'ids.json')),
    kept: new KeptRuleset(paths, '0'),
    publish: () => undefined,
    published: async () => undefined,
    ownChange: { begin: () => undefined, end: () => undefined },
    onRound: () => {
      const now = enforcement.inForce;
      if (now !== undefined) history.note(now.policySet, files.settled(), clock.monotonicMs());
    },
  });
  confirmWindow = new ConfirmWindow(background);
  health = new Health({ clock, onChange: () => undefined });
  const beside = (): readonly Diagnostic[] => strayFiles(paths);
  staged = new StagedChange({ background, enforcement, files, paths, confirmWindow, history, health, clock, beside });
  await enforcement.run({ kind: 'start' });
  expect(inForce()).toEqual({ a: 'allow' });
});

afterEach(async () => {
  staged[Symbol.dispose]();
  await enforcement.stop(false);
  names[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

describe('StagedChange', () => {
  it('try() puts files into force, and confirm() makes them the administrator’s', async () => {
    const report = await staged.try({ files: tried('a', policy('a', 'deny')), confirmMs: LONG_MS });
    expect(report).toMatchObject({ applied: true, changedApps: ['a'], confirmBeforeMs: expect.any(Number) });
    expect([inForce(), saved('a')]).toEqual([{ a: 'deny' }, policy('a', 'allow')]);
    expect(await staged.confirm()).toBe(true);
    expect([inForce(), saved('a')]).toEqual([{ a: 'deny' }, policy('a', 'deny')]);
    expect(await staged.confirm()).toBe(false);
  });

  it('try() goes back by itself, and what packages brought meanwhile stays', async () => {
    await staged.try({ files: tried('a', policy('a', 'deny')), confirmMs: SHORT_MS });
    save(paths.packagePolicies, 'p', 'allow');
    await enforcement.run({ kind: 'files', changed: 'everything' });
    await vi.waitFor(() => expect(inForce()).toEqual({ a: 'allow', p: 'allow' }));
    expect(codes()).toEqual(['rolled-back']);
  });

  it('try() puts nothing into force of files with a mistake, nor of those that the kernel refuses', async () => {
    const wrong = await staged.try({ files: tried('a', policy('a', 'perhaps')), confirmMs: LONG_MS });
    expect(wrong).toMatchObject({ applied: false, diagnostics: [{ line: 5, severity: 'error' }] });
    // And again, should the network have changed meanwhile.
    for (let i = 0; i < 10; i += 1)
      kernel.failures.failNext('nft apply', new KernelError('nft apply', 22, 'EINVAL', 'table', 'refused'));
    const closed = [
      { path: 'default.yaml', base64: Buffer.from('pointsman: 1\notherwise: deny\n').toString('base64') },
    ];
    await expect(staged.try({ files: closed, confirmMs: LONG_MS })).rejects.toMatchObject({ status: 422 });
    kernel.failures.clear();
    expect([inForce(), confirmWindow.endsMs, files.isTakenBack]).toEqual([{ a: 'allow' }, undefined, false]);
    expect(enforcement.inForce?.policySet.systemDefault.otherwise.do).toBe('allow');
    expect(await staged.try({ files: tried('a', policy('a', 'drop')), confirmMs: LONG_MS })).toMatchObject({
      applied: true,
    });
  });

  it('try() without a window is kept at once, and belongs to the window that is open', async () => {
    save(paths.administratorPolicies, 'b', 'allow');
    await staged.reload({ confirmMs: LONG_MS });
    expect(await staged.try({ files: tried('a', policy('a', 'deny')) })).toMatchObject({ applied: true });
    expect([inForce(), saved('a')]).toEqual([{ a: 'deny', b: 'allow' }, policy('a', 'deny')]);
    expect(confirmWindow.endsMs).toBeDefined();
    await staged.try({ files: tried('a', policy('a', 'drop')), confirmMs: SHORT_MS });
    await vi.waitFor(() => expect(inForce()).toEqual({ a: 'allow' }));
  });

  it('reload() ends a trial, and puts into force what was taken back', async () => {
    await staged.try({ files: tried('a', policy('a', 'deny')), confirmMs: LONG_MS });
    await staged.reload({});
    expect([inForce(), confirmWindow.endsMs]).toEqual([{ a: 'allow' }, undefined]);
    save(paths.administratorPolicies, 'a', 'drop');
    await staged.reload({ confirmMs: SHORT_MS });
    await vi.waitFor(() => expect(inForce()).toEqual({ a: 'allow' }));
    await expect(staged.try({ files: tried('b', policy('b', 'deny')) })).rejects.toMatchObject({ status: 409 });
    await staged.reload({});
    expect([inForce(), codes()]).toEqual([{ a: 'drop' }, []]);
  });

  it('reread() says nothing about what waits for a word', async () => {
    await staged.try({ files: tried('a', policy('a', 'deny')), confirmMs: LONG_MS });
    staged.reread();
    await enforcement.run({ kind: 'retry' });
    expect([inForce(), confirmWindow.endsMs]).toEqual([{ a: 'deny' }, expect.any(Number)]);
  });

  it('try() is refused while a start waits to be confirmed', async () => {
    confirmWindow.open(systemClock.monotonicMs(), LONG_MS, () => undefined);
    const refused = staged.try({ files: tried('a', policy('a', 'deny')), confirmMs: LONG_MS });
    await expect(refused).rejects.toMatchObject({ status: 409, message: 'the start waits to be confirmed' });
  });
});
