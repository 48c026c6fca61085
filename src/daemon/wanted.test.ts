import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFakeWorld } from '../../test/contract/fake-world.ts';
import { testBackground } from '../../test/support/test-background.ts';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import type { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { FakeSocketMarks } from '../kernel/fake/fake-socket-marks.ts';
import { type Route, RT_TABLE_MAIN, RTN_UNICAST } from '../netlink/route.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { PackagePrograms } from '../policy/facts.ts';
import type { Match, MatchKind, Profile, Uplink, Verb, Via } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { keptKey } from '../policy/via-text.ts';
import { AppIds } from '../store/app-ids.ts';
import type { Machine } from '../watch/machine.ts';
import { Names } from '../watch/names.ts';
import type { UplinkHealths } from '../watch/uplink-health.ts';
import { type WantedParts, Wants } from './wanted.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const entry = (kind: MatchKind, value: string): Match => ({ kind, value, at });
const NO_PACKAGES: ReadonlyMap<string, PackagePrograms> = new Map();

interface AppParts {
  readonly match: readonly Match[];
  readonly names?: readonly (readonly [Verb, string])[];
  readonly children?: true;
}

const app = (name: string, { match, names = [], children }: AppParts): EffectivePolicy => ({
  app: name,
  match,
  rules: names.map(([verb, host]) => ({
    to: [{ text: host, target: { kind: 'name', name: host } as const, at }],
    do: verb,
    at,
    layer: 'administrator' as const,
  })),
  files: [],
  ...(children && { children: { value: { are: 'same', at }, layer: 'administrator' } as const }),
});
const setOf = (...apps: readonly EffectivePolicy[]): PolicySet => ({
  apps,
  systemDefault: builtinSystemDefault,
  uplinks: [],
});
const UPLINK: Uplink = {
  name: 'wifi',
  device: 'pm0',
  priority: 100,
  properties: { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at,
};

const defaultRoute = (oif: number): Route => ({
  family: 4,
  table: RT_TABLE_MAIN,
  destination: { address: { family: 4, value: 0n }, length: 0 },
  type: RTN_UNICAST,
  scope: 0,
  protocol: 4,
  metric: 100,
  oif,
  onlink: false,
});

const asItIs = (machine: Machine): Machine => machine;
const MAIL = app('mail', { match: [entry('exec', '/usr/bin/mail')] });

let directory: string;
let names: Names;
let asked: string[];
const DAY_MS = 86_400_000;

let packages: ReadonlyMap<string, PackagePrograms>;
let packageQuestions: string[][];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wanted-'));
  asked = [];
  packages = NO_PACKAGES;
  packageQuestions = [];
  names = new Names({
    background: testBackground,
    lookUp: (name) => {
      asked.push(name);
      return new Promise(() => undefined);
    },
    nowMs: () => 0,
    onChange: () => undefined,
  });
});

afterEach(() => {
  names[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

interface WantsOptions {
  readonly isMarked?: boolean;
  readonly uplinkHealth?: WantedParts['uplinkHealth'];
  readonly clock?: FakeClock;
}

const wants = async (options: WantsOptions = {}): Promise<Wants> => (await wantsOf(options)).all;

async function wantsOf({ isMarked = true, uplinkHealth, clock = new FakeClock() }: WantsOptions = {}): Promise<{
  readonly all: Wants;
  readonly kernel: FakeKernel;
}> {
  const { kernel } = await openFakeWorld();
  const parts: WantedParts = {
    kernel: isMarked ? { sockets: new FakeSocketMarks() } : {},
    machine: { routing: kernel.routing, cgroups: undefined, queue: 'nft', containers: { names: () => new Map() } },
    packages: {
      programs: (of) => {
        packageQuestions.push([...of]);
        return packages;
      },
    },
    ids: new AppIds(join(directory, 'ids.json')),
    names,
    ...(uplinkHealth !== undefined && { uplinkHealth }),
    clock,
  };
  return { all: new Wants(parts), kernel };
}

describe('Wants', () => {
  it('Wants tells the verdict thread of the health of uplinks when it is another one, and not otherwise', async () => {
    let healths: UplinkHealths = new Map();
    const all = await wants({ uplinkHealth: { healths: () => healths } });
    const source: PolicySet = { ...setOf(MAIL), uplinks: [{ ...UPLINK, gateways: { v4: '192.0.2.1' } }] };
    const unknown = all.want(source, asItIs);
    expect(unknown.snapshot.facts.uplinks).toMatchObject([{ name: 'wifi', v4: true }]);
    expect(unknown.snapshot.facts.uplinks[0]).not.toHaveProperty('health');
    healths = new Map([['wifi', { v4: { state: 'failed', lossRatio: 1 } }]]);
    const failed = all.want(source, asItIs);
    expect(failed.snapshot.facts.uplinks[0]?.health).toEqual({ v4: { state: 'failed', lossRatio: 1 } });
    expect(failed.snapshot.revision).toBe(unknown.snapshot.revision + 1);
    healths = new Map([['wifi', { v4: { state: 'failed', lossRatio: 1 } }]]);
    expect(all.want(source, asItIs).snapshot).toBe(failed.snapshot);
  });

  it('Wants keeps sticky choices for a while, and says when it would want something else', async () => {
    let healths: UplinkHealths = new Map();
    const clock = new FakeClock();
    const all = await wants({ uplinkHealth: { healths: () => healths }, clock });
    const via: Via = { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block', stickyMs: 60_000, at };
    const policy: EffectivePolicy = { ...MAIL, via: { value: via, layer: 'administrator' } };
    // Two names of one device: one place in the kernel, two uplinks.
    const [first, second] = ['first', 'second'].map(
      (name, i): Uplink => ({
        ...UPLINK,
        name,
        priority: i,
        gateways: { v4: '192.0.2.1' },
      }),
    );
    if (first === undefined || second === undefined) throw new Error('there are two');
    const source: PolicySet = { ...setOf(policy), uplinks: [first, second] };
    const takes = (): readonly string[] | undefined =>
      all.want(source, asItIs).snapshot.facts.kept?.get(keptKey(via, 4));
    expect(takes()).toEqual(['first']);
    expect(all.dueInMs).toBeUndefined();
    healths = new Map([['first', { v4: { state: 'failed' } }]]);
    expect(takes()).toEqual(['second']);
    healths = new Map();
    clock.pass(5000);
    clock.step(DAY_MS);
    expect(takes()).toEqual(['second']);
    expect(all.dueInMs).toBe(60_000);
    clock.pass(20_000);
    clock.step(-2 * DAY_MS);
    expect(all.dueInMs).toBe(40_000);
    const { snapshot, compilation } = all.want(source, asItIs);
    const again = all.want(source, asItIs);
    expect([again.snapshot, again.compilation]).toEqual([snapshot, compilation]);
    expect(again.snapshot).toBe(snapshot);
    clock.pass(40_000);
    expect(takes()).toEqual(['first']);
    expect(all.dueInMs).toBeUndefined();
  });

  it('Wants has a number for each program that is named, in the plan and in the snapshot', async () => {
    const all = setOf(
      app('mail', { match: [entry('exec', '/usr/bin/mail'), entry('script', '/opt/mail.py')], children: true }),
      app('user', { match: [entry('user', '1000')] }),
    );
    const wanted = (await wants()).want(all, asItIs);
    expect([...wanted.ids.programs.numbers.keys()].sort()).toEqual([
      'children:mail',
      'exec:/usr/bin/mail',
      'script:/opt/mail.py',
    ]);
    expect(wanted.snapshot).toMatchObject({ revision: 1, policySet: all, programs: wanted.ids.programs });
    expect([...wanted.compilation.plan.nft.maps.keys()]).toContain('app_of_program');
  });

  it('Wants has no numbers where sockets cannot be marked', async () => {
    const wanted = (await wants({ isMarked: false })).want(setOf(MAIL), asItIs);
    expect(wanted.ids.programs.numbers.size).toBe(0);
    expect(wanted.snapshot).not.toHaveProperty('programs');
    expect([...wanted.compilation.plan.nft.maps.keys()]).not.toContain('app_of_program');
  });

  it('Wants the very same as long as nothing is otherwise, and counts revisions where something is', async () => {
    const all = await wants();
    const first = all.want(setOf(MAIL), asItIs);
    const source = first.policySet;
    const again = all.want(source, asItIs);
    expect(again).toEqual(first);
    expect([again.snapshot, again.compilation, again.index, again.machine]).toEqual([
      first.snapshot,
      first.compilation,
      first.index,
      first.machine,
    ]);
    expect(again.snapshot).toBe(first.snapshot);
    expect(again.compilation).toBe(first.compilation);
    const other = app('other', { match: [entry('exec', '/usr/bin/other')] });
    const next = all.want(setOf(MAIL, other), asItIs);
    expect([next.snapshot.revision, next.ids.programs.numbers.size]).toEqual([2, 2]);
    expect(next.ids.programs.none).not.toBe(first.ids.programs.none);
    expect(next.ids.programs.none).toBeGreaterThanOrEqual(PROGRAM_NONE_FIRST);
    // Nothing that tells programs is another: sockets of before stay known.
    const renamed = all.want({ ...next.policySet, systemDefault: { ...builtinSystemDefault } }, asItIs);
    expect(renamed.snapshot.revision).toBe(3);
    expect(renamed.ids.programs).toBe(next.ids.programs);
  });

  it('Wants the machine as it counts, and looks at it as it is', async () => {
    const all = await wants();
    const source: PolicySet = { ...setOf(MAIL), uplinks: [UPLINK] };
    const withoutUplinks = (machine: Machine): Machine => ({ ...machine, facts: { ...machine.facts, uplinks: [] } });
    expect(all.want(source, asItIs).snapshot.facts.uplinks.map(({ name }) => name)).toEqual(['wifi']);
    expect(all.want(source, withoutUplinks).snapshot.facts.uplinks).toEqual([]);
    expect(all.want(source, asItIs).snapshot.facts.uplinks).toHaveLength(1);
  });

  it('Wants only the rules that hold during the profiles of the moment, and what holds next when they change', async () => {
    const all = await wants();
    const profiles: readonly Profile[] = [{ name: 'office', when: [{ uplinks: ['wifi'] }], at }];
    const named = app('mail', { match: MAIL.match, names: [['deny', 'a.example.org']] });
    const during = { ...named, rules: named.rules.map((rule) => ({ ...rule, during: ['office'] })) };
    const source: PolicySet = { ...setOf(during), uplinks: [UPLINK], profiles };
    const isUp = (up: boolean) => (machine: Machine) => {
      const uplinks = machine.facts.uplinks.map((uplink) => ({ ...uplink, up }));
      return { ...machine, facts: { ...machine.facts, uplinks } };
    };
    const away = all.want(source, isUp(false));
    expect([away.activeProfiles, away.policySet.apps[0]?.rules.length]).toEqual([[], 0]);
    // Its address is known by the time that the rule holds.
    expect(asked).toEqual(['a.example.org']);
    const there = all.want(source, isUp(true));
    expect([there.activeProfiles, there.policySet.apps[0]?.rules.length]).toEqual([['office'], 1]);
    expect(there.index.byExecutable.get('/usr/bin/mail')?.policy).toBe(there.policySet.apps[0]);
    expect(there.snapshot.policySet).toBe(there.policySet);
    expect(all.want(there.policySet, isUp(false)).policySet.apps[0]?.rules).toEqual([]);
  });

  it('Wants the uplinks that are found, with numbers that stay, and none where only files count', async () => {
    const { kernel, all } = await wantsOf();
    const before = all.want(setOf(MAIL), asItIs);
    expect(before.policySet.uplinks).toEqual([]);
    const index = kernel.routing.links().find(({ name }) => name === 'pm0')?.index ?? 0;
    kernel.routing.setRoutes([defaultRoute(index)]);
    const found = all.want(setOf(MAIL), asItIs);
    expect(found.policySet.uplinks).toMatchObject([{ name: 'pm0', device: 'pm0', discovered: true }]);
    expect(found.machine.facts.uplinks).toMatchObject([{ name: 'pm0', id: 1, v4: true }]);
    // No policy chooses among them: the kernel is left as it is.
    expect([found.snapshot.facts.uplinks, found.compilation.plan.rules]).toEqual([[], []]);
    const require = { name: ['pm0'] };
    const via = {
      value: { require, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at },
      layer: 'package',
    } as const;
    const chosen = all.want(setOf({ ...MAIL, via }), asItIs);
    expect(chosen.snapshot.facts.uplinks).toMatchObject([{ name: 'pm0' }]);
    expect(chosen.compilation.plan.rules.length).toBeGreaterThan(0);
    // Connections that began by it are to go on.
    expect(all.want(setOf(MAIL), asItIs).compilation.plan.rules).toEqual(chosen.compilation.plan.rules);
    // What is rolled back to was in force before: it has them already.
    expect(all.want(found.policySet, asItIs).policySet.uplinks).toBe(found.policySet.uplinks);
    kernel.routing.setRoutes([]);
    expect(all.want(found.policySet, asItIs).policySet.uplinks).toEqual([]);
    kernel.routing.setRoutes([defaultRoute(index)]);
    expect(all.want(setOf(MAIL), asItIs).ids.uplinks.get('pm0')).toBe(1);
    const systemDefault = { ...builtinSystemDefault, uplinks: 'files' as const };
    expect(all.want({ ...setOf(MAIL), systemDefault }, asItIs).policySet.uplinks).toEqual([]);
  });

  it('Wants numbers for the programs of packages, as they are installed now', async () => {
    const all = await wants();
    const source = setOf(app('curl', { match: [entry('package', 'curl')] }));
    expect(all.want(source, asItIs).ids.programs.numbers.size).toBe(0);
    packages = new Map([['curl', { executables: ['/usr/bin/curl'], scripts: ['/usr/bin/curl-config'] }]]);
    const wanted = all.want(source, asItIs);
    expect([...wanted.ids.programs.numbers.keys()].sort()).toEqual([
      'exec:/usr/bin/curl',
      'script:/usr/bin/curl-config',
    ]);
    expect(wanted.index.byExecutable.get('/usr/bin/curl')?.policy.app).toBe('curl');
    expect(wanted.snapshot.revision).toBe(2);
    packages = NO_PACKAGES;
    expect(all.want(source, asItIs).ids.programs.numbers.size).toBe(0);
    expect(packageQuestions).toEqual([['curl'], ['curl'], ['curl']]);
  });

  it('Wants the names of rules resolved, those of others no more', async () => {
    const all = await wants();
    const naming = (...hosts: readonly string[]) =>
      setOf(app('mail', { match: [entry('exec', '/usr/bin/mail')], names: hosts.map((host) => ['allow', host]) }));
    all.want(naming('a.example.org', 'b.example.org'), asItIs);
    expect(asked).toEqual(['a.example.org', 'b.example.org']);
    expect([...names.states().keys()]).toEqual(['a.example.org', 'b.example.org']);
    const wanted = all.want(naming('b.example.org'), asItIs);
    expect([...wanted.snapshot.facts.names.keys()]).toEqual(['b.example.org']);
    expect(asked).toHaveLength(2);
  });
});
