import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { MAX_CHANGED_PATHS, PolicyWatch } from './policy-watch.ts';

/** What a watch has told, and a way to wait for more of it. */
class Told {
  readonly reports: (ReadonlySet<string> | 'everything')[] = [];
  readonly errors: Error[] = [];
  #wake: () => void = () => {};

  readonly onChange = (changed: ReadonlySet<string> | 'everything'): void => {
    this.reports.push(changed);
    this.#wake();
  };

  readonly onError = (error: Error): void => {
    this.errors.push(error);
    this.#wake();
  };

  hears(path: string): boolean {
    return this.reports.some((report) => report === 'everything' || report.has(path));
  }

  /** Never ends where the condition never holds: the test's own limit then says which test it was. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

let root: string;
let told: Told;
let watching: PolicyWatch | undefined;
const at = (...parts: string[]): string => join(root, ...parts);

function start(): void {
  watching = new PolicyWatch(
    { directories: [at('etc/p/policies'), at('usr/share/p/policies')], files: [at('etc/p/default.yaml')] },
    told,
    testBackground,
  );
}

/** A change that is certain to be told, to know that everything before it has been. */
async function settled(): Promise<void> {
  const marker = at('etc/p/default.yaml');
  told.reports.length = 0;
  writeFileSync(marker, String(Math.random()));
  await told.until(() => told.hears(marker));
  told.reports.length = 0;
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'policy-watch-'));
  mkdirSync(at('etc/p/policies'), { recursive: true });
  told = new Told();
});

afterEach(async () => {
  await watching?.[Symbol.asyncDispose]();
  watching = undefined;
  rmSync(root, { recursive: true, force: true });
});

describe('PolicyWatch', () => {
  it('PolicyWatch tells of a file that is written, changed and removed', async () => {
    start();
    const file = at('etc/p/policies/a.yaml');
    for (const change of [() => writeFileSync(file, 'a'), () => appendFileSync(file, 'b'), () => unlinkSync(file)]) {
      change();
      await told.until(() => told.hears(file));
      told.reports.length = 0;
    }
  });

  it('PolicyWatch tells several changes in one report that names just the changed files', async () => {
    start();
    const files = ['a.yaml', 'b.yml'].map((name) => at('etc/p/policies', name));
    for (const file of files) writeFileSync(file, 'a');
    await told.until(() => told.reports.length > 0);
    expect(told.reports).toEqual([new Set(files)]);
  });

  it('PolicyWatch tells of a file that an editor puts in place by renaming, and not of its temporary files', async () => {
    start();
    const file = at('etc/p/policies/a.yaml');
    writeFileSync(at('etc/p/policies/.a.yaml.swp'), 'x');
    writeFileSync(at('etc/p/policies/a.yaml~'), 'x');
    writeFileSync(at('etc/p/policies/a.yaml.dpkg-new'), 'a');
    renameSync(at('etc/p/policies/a.yaml.dpkg-new'), file);
    await told.until(() => told.reports.length > 0);
    expect(told.reports).toEqual([new Set([file])]);
  });

  it('PolicyWatch tells of a file that was emptied to be written anew only when something is in it', async () => {
    start();
    const file = at('etc/p/policies/a.yaml');
    writeFileSync(file, '');
    writeFileSync(at('etc/p/policies/b.yaml'), 'b');
    await told.until(() => told.reports.length > 0);
    expect(told.reports).toEqual([new Set([at('etc/p/policies/b.yaml')])]);
    writeFileSync(file, 'a');
    await told.until(() => told.hears(file));
  });

  it('PolicyWatch tells of a file that stays empty', async () => {
    start();
    const file = at('etc/p/policies/a.yaml');
    writeFileSync(file, '');
    await told.until(() => told.hears(file));
    expect(told.reports).toEqual([new Set([file])]);
  });

  it('PolicyWatch leaves out what else happens beside a single file it watches', async () => {
    start();
    writeFileSync(at('etc/p/other.yaml'), 'x');
    writeFileSync(at('etc/p/default.yaml'), 'x');
    await told.until(() => told.reports.length > 0);
    expect(told.reports).toEqual([new Set([at('etc/p/default.yaml')])]);
  });

  it('PolicyWatch notices a directory that did not exist, made in one go with a file in it', async () => {
    start();
    mkdirSync(at('usr/share/p/policies'), { recursive: true });
    writeFileSync(at('usr/share/p/policies/a.yaml'), 'a');
    await told.until(() => told.reports.includes('everything'));
    await settled();
    writeFileSync(at('usr/share/p/policies/b.yaml'), 'b');
    await told.until(() => told.hears(at('usr/share/p/policies/b.yaml')));
  });

  it('PolicyWatch survives that a directory and its parents are deleted and made again', async () => {
    start();
    rmSync(at('etc'), { recursive: true });
    await told.until(() => told.reports.includes('everything'));
    told.reports.length = 0;
    mkdirSync(at('etc/p/policies'), { recursive: true });
    await told.until(() => told.reports.includes('everything'));
    await settled();
    writeFileSync(at('etc/p/policies/a.yaml'), 'a');
    await told.until(() => told.hears(at('etc/p/policies/a.yaml')));
  });

  it('PolicyWatch follows a directory that is deleted and made again before it looks', async () => {
    start();
    // Some filesystems give the new one the very number of the old one.
    for (let round = 0; round < 20; round += 1) {
      rmSync(at('etc/p/policies'), { recursive: true });
      mkdirSync(at('etc/p/policies'));
      await settled();
      const file = at('etc/p/policies/a.yaml');
      writeFileSync(file, String(round));
      await told.until(() => told.hears(file));
    }
  });

  it('PolicyWatch follows a directory that is replaced by renaming', async () => {
    start();
    mkdirSync(at('etc/p/new'));
    renameSync(at('etc/p/policies'), at('etc/p/old'));
    renameSync(at('etc/p/new'), at('etc/p/policies'));
    await told.until(() => told.reports.includes('everything'));
    await settled();
    writeFileSync(at('etc/p/old/gone.yaml'), 'a');
    writeFileSync(at('etc/p/policies/here.yaml'), 'a');
    await told.until(() => told.reports.length > 0);
    expect(told.reports).toEqual([new Set([at('etc/p/policies/here.yaml')])]);
  });

  it('PolicyWatch follows a symbolic link to a directory that is put elsewhere', async () => {
    mkdirSync(at('one'));
    mkdirSync(at('two'));
    mkdirSync(at('usr/share/p'), { recursive: true });
    symlinkSync(at('one'), at('usr/share/p/policies'));
    start();
    symlinkSync(at('two'), at('usr/share/p/link'));
    renameSync(at('usr/share/p/link'), at('usr/share/p/policies'));
    await told.until(() => told.reports.includes('everything'));
    await settled();
    writeFileSync(at('two/a.yaml'), 'a');
    await told.until(() => told.hears(at('usr/share/p/policies/a.yaml')));
  });

  it('PolicyWatch says `everything` where more changed than it names', async () => {
    start();
    for (let i = 0; i <= MAX_CHANGED_PATHS; i += 1) writeFileSync(at(`etc/p/policies/${i}.yaml`), 'a');
    await told.until(() => told.reports.includes('everything'));
  });

  it('PolicyWatch tells nothing after its disposal', async () => {
    start();
    writeFileSync(at('etc/p/policies/a.yaml'), 'a');
    await watching?.[Symbol.asyncDispose]();
    const other = new Told();
    await using _second = new PolicyWatch({ directories: [at('etc/p/policies')], files: [] }, other, testBackground);
    writeFileSync(at('etc/p/policies/b.yaml'), 'b');
    await other.until(() => other.hears(at('etc/p/policies/b.yaml')));
    expect(told.reports).toEqual([]);
  });
});
