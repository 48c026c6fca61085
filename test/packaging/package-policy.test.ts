/**
 * An application's package just ships a policy file: dpkg puts it in place and takes it away, and that is all that is needed.
 * Everything happens in a scratch root with a package database of its own; the host's is never opened.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Paths, pathsFor, watchedPaths } from '../../src/store/paths.ts';
import { type LoadedPolicies, PolicyFiles } from '../../src/store/policy-files.ts';
import { packageShippers } from '../../src/watch/package-shippers.ts';
import { PackagesWatch } from '../../src/watch/packages-watch.ts';
import { PolicyWatch } from '../../src/watch/policy-watch.ts';
import { testBackground } from '../support/test-background.ts';

let scratch: string;
let root: string;
let paths: Paths;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'package-policy-'));
  root = join(scratch, 'root');
  paths = pathsFor(root);
  mkdirSync(join(root, 'var/lib/dpkg/info'), { recursive: true });
  mkdirSync(join(root, 'var/lib/dpkg/updates'));
  writeFileSync(join(root, 'var/lib/dpkg/status'), '');
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const POLICY = (verb: string): string => `pointsman: 1
app: greeter
name: Greeter
match:
  - exec: /usr/bin/greeter
rules:
  - to: "*:443"
    do: allow
otherwise: ${verb}
`;

/** Builds greeter_VERSION_all.deb, which ships these files. */
function build(version: string, files: Readonly<Record<string, string>>): string {
  const tree = join(scratch, `greeter-${version}`);
  const control = `Package: greeter\nVersion: ${version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: greets\n`;
  for (const [path, text] of Object.entries({ ...files, 'DEBIAN/control': control })) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const archive = join(scratch, `greeter_${version}_all.deb`);
  run('dpkg-deb', ['--root-owner-group', '--build', tree, archive]);
  return archive;
}

/** `--root` sets the directory of the package database too; the log would be the host's. */
function dpkg(...action: readonly string[]): void {
  const options = [`--root=${root}`, `--log=${join(scratch, 'dpkg.log')}`];
  run('dpkg', [...options, '--force-not-root', '--force-script-chrootless', '--force-bad-path', ...action]);
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'pipe', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' } });
}

/** Loads as the daemon does, whenever the watch tells of a change. */
class LivePolicies implements AsyncDisposable {
  readonly #files = new PolicyFiles(paths, { shippers: packageShippers(paths) });
  readonly #packages: PackagesWatch;
  readonly #watch: PolicyWatch;
  loaded: LoadedPolicies;
  #wake: () => void = () => {};

  constructor() {
    this.#watch = new PolicyWatch(
      watchedPaths(paths),
      {
        onChange: (changed) => {
          this.loaded = changed === 'everything' ? this.#files.load() : this.#files.load({ changed });
          this.#wake();
        },
        onError: (error) => {
          throw error;
        },
      },
      testBackground,
    );
    this.loaded = this.#files.load();
    this.#packages = new PackagesWatch(
      () => {
        this.loaded = this.#files.load({ changed: [] });
        this.#wake();
      },
      testBackground,
      root,
    );
  }

  get apps(): string[] {
    return this.loaded.policySet.apps.map(({ app, otherwise }) => `${app} ${otherwise?.value.do}`);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#packages[Symbol.dispose]();
    await this.#watch[Symbol.asyncDispose]();
  }
}

describe('a package that ships a policy file', () => {
  it('PolicyFiles sees the application appear, change and disappear as dpkg installs, upgrades and removes its package', async () => {
    const shipped = 'usr/share/pointsman/policies/greeter.yaml';
    const program = { 'usr/bin/greeter': 'a program' };
    const first = build('1.0', { [shipped]: POLICY('deny'), ...program });
    const second = build('2.0', { [shipped]: POLICY('drop'), ...program });
    const third = build('3.0', { 'usr/share/doc/greeter/README': 'no policy any more\n' });
    await using live = new LivePolicies();
    expect(live.apps).toEqual([]);

    dpkg('--install', first);
    await live.until(() => live.apps.length > 0);
    expect(live.apps).toEqual(['greeter deny']);
    expect(live.loaded.diagnostics).toEqual([]);

    dpkg('--install', second);
    await live.until(() => live.apps[0] !== 'greeter deny');
    expect(live.apps).toEqual(['greeter drop']);

    dpkg('--remove', 'greeter');
    await live.until(() => live.apps.length === 0);

    dpkg('--install', second);
    await live.until(() => live.apps.length > 0);
    dpkg('--install', third);
    await live.until(() => live.apps.length === 0);
    expect(live.loaded.diagnostics).toEqual([]);
  });

  it("PolicyFiles keeps the administrator's word over that of a package that is upgraded", async () => {
    const own = join(paths.administratorPolicies, 'greeter.yaml');
    mkdirSync(paths.administratorPolicies, { recursive: true });
    writeFileSync(own, 'pointsman: 1\napp: greeter\notherwise: drop\n');
    await using live = new LivePolicies();
    dpkg('--install', build('1.0', { 'usr/share/pointsman/policies/greeter.yaml': POLICY('allow') }));
    await live.until(() => live.loaded.policySet.apps[0]?.files.length === 2);
    expect(live.apps).toEqual(['greeter drop']);
    expect(live.loaded.policySet.apps[0]?.otherwise?.value.at.file).toBe(own);
  });

  it('PolicyFiles takes from a package what it says of its own programs, and of others only where it is trusted', async () => {
    const shipped = 'usr/share/pointsman/policies/greeter.yaml';
    const text = POLICY('allow').replace('rules:', '  - exec: /usr/bin/stranger\n  - user: root\nrules:');
    const matches = (): string[] =>
      live.loaded.policySet.apps.flatMap(({ match }) => match.map(({ kind, value }) => `${kind} ${value}`));
    const codes = (): string[] => live.loaded.diagnostics.map(({ code, line }) => `${code} ${line}`);
    await using live = new LivePolicies();
    dpkg('--install', build('1.0', { [shipped]: text, 'usr/bin/greeter': 'a program', 'usr/bin/other': 'another' }));
    await live.until(() => matches().length > 0);
    expect(matches()).toEqual(['exec /usr/bin/greeter']);
    expect(codes()).toEqual(['not-its-own 6', 'not-its-own 7']);

    // The next version has the program.
    dpkg(
      '--install',
      build('2.0', { [shipped]: text, 'usr/bin/greeter': 'a program', 'usr/bin/stranger': 'now mine' }),
    );
    await live.until(() => matches().length > 1);
    expect(matches()).toEqual(['exec /usr/bin/greeter', 'exec /usr/bin/stranger']);
    expect(codes()).toEqual(['not-its-own 7']);

    mkdirSync(dirname(paths.trustedPackages), { recursive: true });
    writeFileSync(paths.trustedPackages, 'pointsman: 1\npackages: [greeter]\n');
    await live.until(() => matches().length > 2);
    expect(codes()).toEqual([]);
    rmSync(paths.trustedPackages);
    await live.until(() => matches().length < 3);

    // What no package has speaks for nobody.
    writeFileSync(join(paths.packagePolicies, 'mine.yaml'), text.replace('app: greeter', 'app: mine'));
    await live.until(() => codes().includes('no-match 2'));
    expect(matches()).toEqual(['exec /usr/bin/greeter', 'exec /usr/bin/stranger']);
    expect(codes().filter((code) => code.startsWith('not-its-own'))).toHaveLength(4);
  });
});
