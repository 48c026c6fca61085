import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { partsOfPath } from './parts-of-path.ts';
import { ScriptDirectories } from './script-directories.ts';

let dir: string;
const at = (name: string): string => join(dir, name);
/** Below the test's directory. */
const partsOf = (path: string): readonly string[] =>
  partsOfPath(at(path)).flatMap(({ directory, name }) => {
    const part = join(directory, name);
    return part.startsWith(`${dir}/`) ? [part.slice(dir.length + 1)] : [];
  });

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'parts-')));
  mkdirSync(at('v1/bin'), { recursive: true });
  mkdirSync(at('v2/bin'), { recursive: true });
  for (const file of ['v1/bin/app', 'v1/bin/other', 'v2/bin/app']) writeFileSync(at(file), file);
  symlinkSync('v1', at('current'));
  symlinkSync(at('current/bin/app'), at('app'));
  symlinkSync('loop', at('loop'));
  symlinkSync('../v2', at('v1/next'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('partsOfPath()', () => {
  it.each([
    ['v1/bin/app', ['v1', 'v1/bin', 'v1/bin/app']],
    ['current/bin/app', ['current', 'v1', 'v1/bin', 'v1/bin/app']],
    ['app', ['app', 'current', 'v1', 'v1/bin', 'v1/bin/app']],
    ['v1/next/bin/app', ['v1', 'v1/next', 'v2', 'v2/bin', 'v2/bin/app']],
    ['missing/app', ['missing', 'missing/app']],
  ])('partsOfPath() of %s', (path, want) => {
    expect(partsOf(path)).toEqual(want);
  });

  it('partsOfPath() ends with a link that leads to itself', () => {
    expect(new Set(partsOf('loop/app'))).toEqual(new Set(['loop', 'loop/app']));
  });

  const switchLink = (): void => {
    symlinkSync('v2', at('new'));
    renameSync(at('new'), at('current'));
  };
  it.each([
    ['a link on the way is switched', switchLink],
    ['a directory on the way is renamed', () => renameSync(at('v1/bin'), at('v1/old'))],
    ['the file is touched', () => chmodSync(at('v1/bin/app'), 0o700)],
    ['another file is put in its place', () => renameSync(at('v1/bin/other'), at('v1/bin/app'))],
  ])('ScriptDirectories tells by it when %s', async (_what, change) => {
    let tell: (paths: ReadonlySet<string>) => void = () => undefined;
    const told = new Promise<ReadonlySet<string>>((resolve) => {
      tell = resolve;
    });
    using directories = new ScriptDirectories(
      { onChange: (paths) => tell(paths), onCandidate: () => undefined },
      testBackground,
      partsOfPath,
    );
    directories.watch(new Set([at('app'), at('v2/bin/app')]));
    change();
    expect([...(await told)]).toEqual([at('app')]);
  });
});
