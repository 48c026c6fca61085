/** Cgroups that come, go and come again on the real hierarchy. Slices and units here are only named like ones. */

import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CgroupTree, openCgroupTree } from '../../src/kernel/cgroup.ts';
import { type AppIndex, indexApps } from '../../src/policy/match-app.ts';
import type { MatchKind } from '../../src/policy/model.ts';
import { builtinSystemDefault } from '../../src/policy/validate-system-default.ts';
import { cgroupInterest } from '../../src/watch/cgroup-interest.ts';
import { CGROUPS_WAIT_MS, CgroupWatch } from '../../src/watch/cgroup-watch.ts';
import { namedCgroups } from '../../src/watch/named-things.ts';
import { testBackground } from '../support/test-background.ts';
import { until } from './support/until.ts';

const TOP = `pointsmantest${process.pid}.slice`;
const CHILD = `${TOP.slice(0, -'.slice'.length)}-inner.slice`;
const ID = 'a1'.repeat(32);
const NAMES = new Map([[ID, ['web']]]);
const BURST = 1000;

function theTree(): CgroupTree {
  const tree = openCgroupTree();
  if (tree === undefined) throw new Error('no cgroup2 here');
  return tree;
}

const tree = theTree();
const at = (path: string): string => join(tree.mountDir, TOP, path);

function indexOf(...entries: (readonly [MatchKind, string])[]): AppIndex {
  const match = entries.map(([kind, value]) => ({ kind, value, at: { file: 'a.yaml', line: 1, column: 1 } }));
  const apps = [{ app: 'a', match, files: [], rules: [] }];
  return indexApps({ apps, uplinks: [], systemDefault: builtinSystemDefault });
}

/** Looks and watches again after each report, as the daemon does. */
class Follower implements Disposable {
  readonly #index: AppIndex;
  readonly #watch = new CgroupWatch(() => this.#look(), testBackground);
  reports = 0;
  found = new Map<string, bigint>();

  constructor(...entries: (readonly [MatchKind, string])[]) {
    this.#index = indexOf(...entries);
    this.#look();
    this.reports = 0;
  }

  idOf(path: string): bigint | undefined {
    return this.found.get(`/${TOP}/${path}`);
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  #look(): void {
    this.reports += 1;
    this.found = new Map(namedCgroups(this.#index, tree, NAMES).map(({ path, id }) => [path, id]));
    const { directories, concerns } = cgroupInterest(this.#index, tree);
    this.#watch.watch(directories, concerns);
  }
}

/** The innermost first. */
function remove(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) remove(join(directory, entry.name));
  }
  rmdirSync(directory);
}

const idNow = (path: string): bigint | undefined => tree.idOfPath(`/${TOP}/${path}`);

beforeEach(() => {
  mkdirSync(at(''));
});

afterEach(() => {
  remove(at(''));
});

describe('CgroupWatch on cgroup2', () => {
  it.each<readonly [MatchKind, string, string]>([
    ['cgroup', `/${TOP}/group`, 'group'],
    ['unit', 'pointsman-test.service', 'pointsman-test.service'],
    ['container', 'web', `docker-${ID}.scope`],
    ['snap', 'pointsman-test', 'snap.pointsman-test.daemon.service'],
  ])('CgroupWatch tells of a %s that is made, removed, and made anew under its path', async (kind, value, name) => {
    using follower = new Follower([kind, value]);
    mkdirSync(at(name));
    const first = idNow(name);
    await until('the new cgroup', () => follower.idOf(name) === first);
    rmdirSync(at(name));
    await until('its end', () => follower.idOf(name) === undefined);
    mkdirSync(at(name));
    const second = idNow(name);
    expect(second).not.toBe(first);
    await until('its successor', () => follower.idOf(name) === second);
    rmdirSync(at(name));
    mkdirSync(at(name));
    await until('a successor without a pause', () => follower.idOf(name) === idNow(name));
  });

  it('CgroupWatch finds a unit in a slice that is made together with it, and again after both were made anew', async () => {
    using follower = new Follower(['unit', 'pointsman-test.service']);
    const name = `${CHILD}/pointsman-test.service`;
    mkdirSync(at(name), { recursive: true });
    await until('the unit', () => follower.idOf(name) === idNow(name));
    remove(at(CHILD));
    mkdirSync(at(name), { recursive: true });
    await until('the unit made anew', () => follower.idOf(name) === idNow(name));
    rmdirSync(at(name));
    await until('its end', () => follower.idOf(name) === undefined);
  });

  it('CgroupWatch finds a path whose parents come one after the other', async () => {
    using follower = new Follower(['cgroup', `/${TOP}/a/b/c`]);
    for (const path of ['a', 'a/b', 'a/b/c']) {
      mkdirSync(at(path));
      await delay(2 * CGROUPS_WAIT_MS);
    }
    await until('the cgroup', () => follower.idOf('a/b/c') === idNow('a/b/c'));
  });

  it(`CgroupWatch reports ${BURST} new cgroups a few times, and those that concern nobody not at all`, async () => {
    using follower = new Follower(['unit', 'pointsman-test.service']);
    using everything = new Follower(['container', 'web']);
    await delay(4 * CGROUPS_WAIT_MS);
    follower.reports = 0;
    everything.reports = 0;
    const startMs = performance.now();
    for (let i = 0; i < BURST; i += 1) {
      mkdirSync(at(`docker-${String(i).padStart(64, '0')}.scope`));
      if (i % 50 === 0) await delay(1);
    }
    mkdirSync(at(`docker-${ID}.scope`));
    const tookMs = performance.now() - startMs;
    await until('the one that is named', () => everything.idOf(`docker-${ID}.scope`) !== undefined);
    await delay(4 * CGROUPS_WAIT_MS);
    expect(follower.reports).toBe(0);
    expect(everything.reports).toBeLessThanOrEqual(tookMs / CGROUPS_WAIT_MS + 2);
  });

  it('CgroupWatch is not woken by the files of a cgroup', async () => {
    mkdirSync(at(CHILD));
    using follower = new Follower(['unit', 'pointsman-test.service']);
    await delay(4 * CGROUPS_WAIT_MS);
    follower.reports = 0;
    for (let i = 0; i < 20; i += 1) writeFileSync(at(`${CHILD}/cgroup.max.descendants`), String(i + 10));
    await delay(4 * CGROUPS_WAIT_MS);
    expect(follower.reports).toBe(0);
  });
});
