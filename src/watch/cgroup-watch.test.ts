import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { CGROUPS_WAIT_MS, CgroupWatch, MAX_WATCHED_DIRECTORIES } from './cgroup-watch.ts';

let dir: string;
let reports: number;
let watching: CgroupWatch;
const at = (name: string): string => join(dir, name);

async function untilReported(): Promise<void> {
  while (reports === 0) await delay(5);
  reports = 0;
}

async function expectSilence(): Promise<void> {
  reports = 0;
  await delay(3 * CGROUPS_WAIT_MS);
  expect(reports).toBe(0);
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cgroup-watch-'));
  reports = 0;
  watching = new CgroupWatch(() => (reports += 1), testBackground);
});

afterEach(() => {
  watching[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

describe('CgroupWatch', () => {
  it('CgroupWatch tells of a directory that it did not watch before, and then of what comes and goes there', async () => {
    watching.watch([dir, at('none')]);
    await untilReported();
    watching.watch([dir]);
    await expectSilence();
    mkdirSync(at('a'));
    await untilReported();
    rmdirSync(at('a'));
    await untilReported();
  });

  it('CgroupWatch is silent about what is written to files', async () => {
    writeFileSync(at('cgroup.procs'), '1');
    watching.watch([dir]);
    await untilReported();
    for (const text of ['2', '3', '4']) writeFileSync(at('cgroup.procs'), text);
    await expectSilence();
  });

  it('CgroupWatch is silent about what does not concern', async () => {
    watching.watch([dir], (path) => path === at('named'));
    await untilReported();
    mkdirSync(at('other'));
    await expectSilence();
    mkdirSync(at('named'));
    await untilReported();
  });

  it('CgroupWatch tells of the end of a watched directory, and watches its successor', async () => {
    mkdirSync(at('a'));
    const nothing = (): boolean => false;
    watching.watch([at('a')], nothing);
    await untilReported();
    rmdirSync(at('a'));
    await untilReported();
    mkdirSync(at('b'));
    mkdirSync(at('a'));
    watching.watch([at('a')], (path) => path === at('a/x'));
    await untilReported();
    mkdirSync(at('a/x'));
    await untilReported();
  });

  it('CgroupWatch forgets directories that are no longer wanted, and is silent after its end', async () => {
    mkdirSync(at('a'));
    watching.watch([dir, at('a')]);
    await untilReported();
    watching.watch([dir]);
    mkdirSync(at('a/x'));
    await expectSilence();
    mkdirSync(at('b'));
    watching[Symbol.dispose]();
    await expectSilence();
  });

  it('CgroupWatch watches no more directories than its bound', async () => {
    const many = Array.from({ length: MAX_WATCHED_DIRECTORIES + 1 }, (_, i) => at(`d${i}`));
    for (const each of many) mkdirSync(each);
    watching.watch(many);
    await untilReported();
    mkdirSync(join(many.at(-1) ?? '', 'x'));
    await expectSilence();
    mkdirSync(join(many.at(-2) ?? '', 'x'));
    await untilReported();
  });
});
