import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { PACKAGES_WAIT_MS, PackagesWatch } from './packages-watch.ts';

let root: string;
let reports: number;
let watching: PackagesWatch;
const at = (name: string): string => join(root, 'var/lib/dpkg', name);

/** As dpkg writes. */
function replace(name: string): void {
  writeFileSync(at(`${name}-new`), 'x');
  renameSync(at(`${name}-new`), at(name));
}

async function untilReported(count: number): Promise<void> {
  while (reports < count) await delay(5);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'packages-watch-'));
  mkdirSync(at('updates'), { recursive: true });
  reports = 0;
  watching = new PackagesWatch(() => (reports += 1), testBackground, root);
});

afterEach(() => {
  watching[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

describe('PackagesWatch', () => {
  it('PackagesWatch tells of a replaced status, of diversions, and of the journal', async () => {
    replace('status');
    await untilReported(1);
    replace('diversions');
    await untilReported(2);
    writeFileSync(at('updates/0001'), 'x');
    await untilReported(3);
  });

  it('PackagesWatch tells of many steps at once, and of nothing else', async () => {
    replace('lock-frontend');
    await delay(2 * PACKAGES_WAIT_MS);
    expect(reports).toBe(0);
    for (let i = 0; i < 200; i += 1) writeFileSync(at(`updates/${i}`), 'x');
    await untilReported(1);
    await delay(2 * PACKAGES_WAIT_MS);
    expect(reports).toBeLessThan(10);
  });

  it('PackagesWatch tells nothing after its end, nor without a database', async () => {
    replace('status');
    await delay(PACKAGES_WAIT_MS / 2);
    watching[Symbol.dispose]();
    using none = new PackagesWatch(() => (reports += 1), testBackground, join(root, 'none'));
    expect(none).toBeDefined();
    await delay(2 * PACKAGES_WAIT_MS);
    expect(reports).toBe(0);
  });
});
