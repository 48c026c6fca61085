import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Paths, pathsFor } from './paths.ts';
import { PolicyFiles } from './policy-files.ts';
import { isTrialPath, keepTrial, removeTrial, trialPaths, writeTrial } from './trial-files.ts';

let root: string;
let paths: Paths;
let files: PolicyFiles;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pointsman-trial-'));
  paths = pathsFor(root);
  files = new PolicyFiles(paths, { writesLastGood: false });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const policy = (app: string, verb: string): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - exec: /usr/bin/${app}\notherwise: ${verb}\n`;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
const administrator = (app: string, verb: string): void =>
  write(join(paths.administratorPolicies, `${app}.yaml`), policy(app, verb));
const packaged = (app: string): void => write(join(paths.packagePolicies, `${app}.yaml`), policy(app, 'allow'));
/** What each application does otherwise. */
const inForce = (hint?: readonly string[]): Record<string, string | undefined> =>
  Object.fromEntries(
    files
      .load(hint && { changed: hint.map((app) => join(paths.administratorPolicies, `${app}.yaml`)) })
      .policySet.apps.map(({ app, otherwise }) => [app, otherwise?.value.do]),
  );
function tryOut(...tried: readonly (readonly [app: string, verb: string])[]): void {
  writeTrial(
    paths,
    tried.map(([app, verb]) => ({ path: `policies/${app}.yaml`, bytes: bytes(policy(app, verb)) })),
  );
  files.try(trialPaths(paths));
}

describe('PolicyFiles.try', () => {
  it('try() puts files before those of the same name, and leaves all others', () => {
    administrator('a', 'allow');
    administrator('b', 'allow');
    expect(inForce()).toEqual({ a: 'allow', b: 'allow' });
    tryOut(['a', 'deny'], ['c', 'deny']);
    expect(inForce([])).toEqual({ a: 'deny', b: 'allow', c: 'deny' });
    files.endTrial();
    expect(inForce([])).toEqual({ a: 'allow', b: 'allow' });
  });

  it('try() stands before what is saved meanwhile, and goes on while files change', () => {
    administrator('a', 'allow');
    tryOut(['a', 'deny']);
    inForce();
    administrator('a', 'drop');
    administrator('b', 'allow');
    expect(inForce(['a', 'b'])).toEqual({ a: 'deny', b: 'allow' });
    expect(inForce()).toEqual({ a: 'deny', b: 'allow' });
    files.endTrial();
    expect(inForce([])).toEqual({ a: 'drop', b: 'allow' });
  });

  it('try() hides a file by a mask, and what packages say of the name', () => {
    administrator('a', 'allow');
    packaged('a');
    writeTrial(paths, [{ path: 'policies/a.yaml' }]);
    files.try(trialPaths(paths));
    expect(inForce()).toEqual({});
  });

  it('try() takes default.yaml, uplinks, profiles and locks, too', () => {
    writeTrial(paths, [
      { path: 'default.yaml', bytes: bytes('pointsman: 1\notherwise: deny\n') },
      { path: 'uplinks/wifi.yaml', bytes: bytes('pointsman: 1\nuplink: wifi\ndevice: wlan0\ntype: wifi\n') },
      { path: 'locks/a.yaml', bytes: bytes(policy('a', 'deny')) },
    ]);
    files.try(trialPaths(paths));
    const { policySet, diagnostics } = files.load();
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(policySet.systemDefault.otherwise.do).toBe('deny');
    expect(policySet.uplinks.map(({ name }) => name)).toEqual(['wifi']);
    expect(policySet.apps.map(({ app, otherwise }) => [app, otherwise?.layer])).toEqual([['a', 'locks']]);
  });
});

describe('PolicyFiles.goBackTo', () => {
  it('goBackTo() takes back what people saved since, and leaves what packages brought', () => {
    administrator('a', 'allow');
    inForce();
    const before = files.settled();
    administrator('a', 'deny');
    administrator('b', 'deny');
    packaged('p');
    expect(inForce()).toEqual({ a: 'deny', b: 'deny', p: 'allow' });
    files.goBackTo(before);
    expect([inForce([]), files.isTakenBack]).toEqual([{ a: 'allow', p: 'allow' }, true]);
    packaged('q');
    expect(inForce()).toEqual({ a: 'allow', p: 'allow', q: 'allow' });
  });

  it('goBackTo() lasts until somebody saves a file, or what is there is to count', () => {
    administrator('a', 'allow');
    inForce();
    const before = files.settled();
    administrator('a', 'deny');
    inForce();
    files.goBackTo(before);
    expect(inForce()).toEqual({ a: 'allow' });
    administrator('b', 'deny');
    expect([inForce(['b']), files.isTakenBack]).toEqual([{ a: 'deny', b: 'deny' }, false]);
    files.goBackTo(before);
    expect(inForce([])).toEqual({ a: 'allow' });
    files.release();
    expect(inForce([])).toEqual({ a: 'deny', b: 'deny' });
  });

  it('goBackTo() holds nothing where nothing was saved, and ends a trial', () => {
    administrator('a', 'allow');
    inForce();
    const before = files.settled();
    tryOut(['a', 'deny']);
    expect(inForce([])).toEqual({ a: 'deny' });
    files.goBackTo(before);
    expect([inForce([]), files.isTakenBack]).toEqual([{ a: 'allow' }, false]);
    administrator('a', 'drop');
    expect(inForce(['a'])).toEqual({ a: 'drop' });
  });
});

describe('keepTrial', () => {
  it('keepTrial() makes each the administrator’s, readable for all, and masks', () => {
    keepTrial(paths, [{ path: 'policies/a.yaml', bytes: bytes(policy('a', 'deny')) }, { path: 'locks/b.yaml' }]);
    const path = join(paths.administratorPolicies, 'a.yaml');
    expect(readFileSync(path, 'utf8')).toBe(policy('a', 'deny'));
    expect(lstatSync(path).mode).toBe(0o100644);
    expect(readlinkSync(join(paths.locks, 'b.yaml'))).toBe('/dev/null');
  });

  it('keepTrial() writes nothing at all where others can change one of the directories', () => {
    mkdirSync(paths.administratorPolicies, { recursive: true });
    mkdirSync(paths.locks);
    chmodSync(paths.locks, 0o777);
    const kept = () =>
      keepTrial(paths, [
        { path: 'policies/a.yaml', bytes: bytes('x') },
        { path: 'locks/b.yaml', bytes: bytes('x') },
      ]);
    expect(kept).toThrow('locks/b.yaml is not written: everybody can change');
    expect(lstatSync(join(paths.administratorPolicies, 'a.yaml'), { throwIfNoEntry: false })).toBeUndefined();
  });

  it('removeTrial() leaves nothing of what was tried', () => {
    tryOut(['a', 'deny']);
    removeTrial(paths);
    expect(lstatSync(join(paths.runDir, 'trial'), { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe('isTrialPath', () => {
  it.each([
    'policies/a.yaml',
    'locks/a.yml',
    'uplinks/wifi.yaml',
    'profiles/home.yaml',
    'default.yaml',
    'packages.yaml',
  ])('isTrialPath() takes %s', (path) => expect(isTrialPath(path)).toBe(true));
  it.each([
    ...[
      '',
      '/etc/passwd',
      '../a.yaml',
      'policies/../a.yaml',
      'policies/..',
      'policies/a',
      'policies/.a.yaml',
      'policies//a.yaml',
    ],
    ...['policies/a/b.yaml', 'other/a.yaml', 'default.yml', 'policies/a\0.yaml', 'policies'],
  ])('isTrialPath() refuses %j', (path) => expect(isTrialPath(path)).toBe(false));
});
