import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PackagePrograms } from '../policy/facts.ts';
import { Packages } from './packages.ts';

const ELF = '\x7fELF';
const SCRIPT = '#!/bin/sh\n';
let root: string;
const at = (path: string): string => join(root, path);

function put(path: string, text: string, mode = 0o755): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
  chmodSync(at(path), mode);
}

/** dpkg lists a directory before what is in it. */
function list(file: string, ...files: string[]): void {
  put(`/var/lib/dpkg/info/${file}.list`, `/.\n${files.join('\n')}\n`, 0o644);
}

function status(...packages: (readonly [name: string, architecture: string, state: string])[]): void {
  const stanzas = packages.map(
    ([name, architecture, state]) => `Package: ${name}\nStatus: install ok ${state}\nArchitecture: ${architecture}\n`,
  );
  put('/var/lib/dpkg/status', stanzas.join('\n'), 0o644);
}

const found = (packages: Packages, ...names: string[]): Record<string, PackagePrograms> =>
  Object.fromEntries(packages.programs(names));

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'packages-'));
  mkdirSync(at('usr/bin'), { recursive: true });
  symlinkSync('usr/bin', at('bin'));
  status(['curl', 'amd64', 'installed'], ['tool', 'all', 'installed']);
  put('/usr/bin/curl', ELF);
  put('/usr/bin/tool', SCRIPT);
  list('curl', '/usr', '/usr/bin', '/usr/bin/curl');
  list('tool', '/bin', '/bin/tool');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('Packages', () => {
  it('Packages tells executables and scripts, by their path without links', () => {
    expect(found(new Packages(root), 'tool', 'curl')).toEqual({
      curl: { executables: ['/usr/bin/curl'], scripts: [] },
      tool: { executables: [], scripts: ['/usr/bin/tool'] },
    });
  });

  it('Packages leaves out what is no program: links, data, libraries, documentation, and what is not there', () => {
    put('/usr/lib/lib.so.1', ELF, 0o644);
    put('/usr/share/tool/data', 'text');
    put('/usr/share/doc/tool/examples/run', SCRIPT);
    symlinkSync('curl', at('usr/bin/tool-link'));
    const files = [
      '/usr/lib/lib.so.1',
      '/usr/share/tool/data',
      '/usr/share/doc/tool/examples/run',
      '/usr/bin/tool-link',
    ];
    list('tool', '/bin/tool', ...files, '/usr/bin/gone', 'no path', '');
    expect(found(new Packages(root), 'tool')).toEqual({ tool: { executables: [], scripts: ['/usr/bin/tool'] } });
  });

  it('Packages has an installed package without programs, and none that is not installed', () => {
    status(['empty', 'all', 'installed'], ['removed', 'all', 'config-files']);
    list('empty', '/usr/share/empty');
    list('removed', '/usr/bin/tool');
    expect(found(new Packages(root), 'empty', 'removed', 'never', '../../etc', '')).toEqual({
      empty: { executables: [], scripts: [] },
    });
  });

  it('Packages joins the architectures of a package, or gives the one that is asked for', () => {
    status(['multi', 'amd64', 'installed'], ['multi', 'i386', 'installed'], ['curl', 'amd64', 'installed']);
    put('/usr/lib/amd64/helper', ELF);
    put('/usr/lib/i386/helper', ELF);
    list('multi:amd64', '/usr/bin/curl', '/usr/lib/amd64/helper');
    list('multi:i386', '/usr/bin/curl', '/usr/lib/i386/helper');
    expect(found(new Packages(root), 'multi', 'multi:i386', 'multi:arm64', 'curl:amd64', 'curl:i386')).toEqual({
      multi: { executables: ['/usr/bin/curl', '/usr/lib/amd64/helper', '/usr/lib/i386/helper'], scripts: [] },
      'multi:i386': { executables: ['/usr/bin/curl', '/usr/lib/i386/helper'], scripts: [] },
      'curl:amd64': { executables: ['/usr/bin/curl'], scripts: [] },
    });
  });

  it('Packages follows diversions', () => {
    put('/usr/bin/tool.distrib', SCRIPT);
    const packages = new Packages(root);
    expect(found(packages, 'tool').tool?.scripts).toEqual(['/usr/bin/tool']);
    put('/var/lib/dpkg/diversions', '/bin/tool\n/bin/tool.distrib\ncurl\n', 0o644);
    expect(found(packages, 'tool').tool?.scripts).toEqual(['/usr/bin/tool.distrib']);
  });

  it('Packages follows the merging of /usr', () => {
    unlinkSync(at('bin'));
    put('/bin/tool', SCRIPT);
    const packages = new Packages(root);
    expect(found(packages, 'tool').tool?.scripts).toEqual(['/bin/tool']);
    rmSync(at('bin'), { recursive: true });
    symlinkSync('usr/bin', at('bin'));
    status(['tool', 'all', 'installed'], ['usrmerge', 'all', 'installed']);
    expect(found(packages, 'tool').tool?.scripts).toEqual(['/usr/bin/tool']);
  });

  it('Packages gives the same map while nothing changed, and the same packages while they did not', () => {
    const packages = new Packages(root);
    const first = packages.programs(['curl', 'tool']);
    expect(packages.programs(['curl', 'tool'])).toBe(first);
    expect(packages.programs(['tool', 'curl'])).toBe(first);
    status(['curl', 'amd64', 'installed'], ['tool', 'all', 'installed'], ['other', 'all', 'installed']);
    list('curl', '/usr/bin/curl');
    expect(packages.programs(['curl', 'tool'])).toBe(first);
    put('/usr/bin/tool2', SCRIPT);
    list('tool', '/bin/tool', '/bin/tool2');
    status(['curl', 'amd64', 'installed'], ['tool', 'all', 'installed']);
    const second = packages.programs(['curl', 'tool']);
    expect(second.get('tool')?.scripts).toEqual(['/usr/bin/tool', '/usr/bin/tool2']);
    expect(second.get('curl')).toBe(first.get('curl'));
    expect([...packages.programs(['curl'])]).toEqual([['curl', first.get('curl')]]);
    expect(packages.programs([])).toBe(packages.programs([]));
  });

  it('Packages knows a package that comes and one that goes', () => {
    const packages = new Packages(root);
    expect(found(packages, 'new')).toEqual({});
    put('/usr/bin/new', ELF);
    list('new', '/usr/bin/new');
    put('/var/lib/dpkg/updates/0001', 'Package: new\nStatus: install ok unpacked\nArchitecture: all\n', 0o644);
    expect(found(packages, 'new')).toEqual({ new: { executables: ['/usr/bin/new'], scripts: [] } });
    rmSync(at('var/lib/dpkg/updates'), { recursive: true });
    expect(found(packages, 'new')).toEqual({});
  });

  it('Packages says nothing on a machine without dpkg', () => {
    expect(found(new Packages(join(root, 'usr')), 'curl')).toEqual({});
  });

  it('Packages.classify tells what a file is', () => {
    const packages = new Packages(root);
    expect(['/bin/curl', '/bin/tool', '/bin/none'].map((path) => packages.classify(path))).toEqual([
      'executable',
      'script',
      undefined,
    ]);
  });
});

/** The same by dpkg's own tool and the file system. */
function askDpkg(name: string): PackagePrograms {
  const executables = new Set<string>();
  const scripts = new Set<string>();
  for (const line of execFileSync('dpkg-query', ['--listfiles', name], { encoding: 'utf8' }).split('\n')) {
    // "diverted by P to: FILE" follows a file; "package diverts others to: FILE" is of its own.
    const path = /^diverted by \S+ to: (.*)$/.exec(line)?.[1] ?? line;
    if (!path.startsWith('/') || path.startsWith('/usr/share/doc/')) continue;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile() || (stats.mode & 0o111) === 0) continue;
    const start = readFileSync(path, 'latin1').slice(0, 4);
    if (start === ELF) executables.add(realpathSync(path));
    if (start.startsWith('#!')) scripts.add(realpathSync(path));
  }
  return { executables: [...executables].sort(), scripts: [...scripts].sort() };
}

describe.skipIf(!existsSync('/var/lib/dpkg/status'))('Packages on this machine', () => {
  it('Packages agrees with dpkg-query about well-known packages', () => {
    const known = ['bash', 'coreutils', 'dash', 'libc6', 'perl-base', 'util-linux', 'login', 'git', 'python3-minimal'];
    const packages = new Packages();
    const here = packages.programs(known);
    expect(here.size).toBeGreaterThan(5);
    for (const [name, programs] of here) expect([name, programs]).toEqual([name, askDpkg(name)]);
    expect(here.get('bash')?.executables).toContain(realpathSync('/bin/bash'));
    expect(packages.programs(known)).toBe(here);
  });
});

describe.skipIf(!existsSync('/usr/bin/dpkg-deb') || process.getuid?.() !== 0)('Packages and a real dpkg', () => {
  const admin = (): string => at('var/lib/dpkg');
  const dpkg = (...args: string[]): unknown =>
    execFileSync('dpkg', [`--root=${root}`, `--admindir=${admin()}`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

  /** A package whose only files are scripts and a conffile that is one. */
  function build(version: string, ...names: string[]): string {
    const source = `/build-${version}`;
    for (const name of names) put(`${source}/usr/bin/${name}`, SCRIPT);
    put(`${source}/etc/init.d/real`, SCRIPT);
    put(`${source}/DEBIAN/conffiles`, '/etc/init.d/real\n', 0o644);
    const control = ['Package: real', `Version: ${version}`, 'Architecture: all', 'Maintainer: T <t@example.org>'];
    put(`${source}/DEBIAN/control`, [...control, 'Description: test', ''].join('\n'), 0o644);
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', at(source), at(`${version}.deb`)], { stdio: 'pipe' });
    return at(`${version}.deb`);
  }

  it('Packages follows a package that is unpacked, configured, upgraded, removed and purged', () => {
    for (const directory of ['info', 'updates', 'triggers', 'parts', 'alternatives']) {
      mkdirSync(join(admin(), directory), { recursive: true });
    }
    put('/var/lib/dpkg/status', '', 0o644);
    const packages = new Packages(root);
    const scripts = (): readonly string[] | undefined => packages.programs(['real']).get('real')?.scripts;
    expect(scripts()).toBeUndefined();
    dpkg('--unpack', build('1', 'one', 'both'));
    // A new conffile is put at its place when the package is configured.
    expect(scripts()).toEqual(['/usr/bin/both', '/usr/bin/one']);
    dpkg('--configure', 'real');
    expect(scripts()).toEqual(['/etc/init.d/real', '/usr/bin/both', '/usr/bin/one']);
    dpkg('--install', build('2', 'both', 'two'));
    expect(scripts()).toEqual(['/etc/init.d/real', '/usr/bin/both', '/usr/bin/two']);
    dpkg('--remove', 'real');
    expect(existsSync(at('etc/init.d/real'))).toBe(true);
    expect(scripts()).toBeUndefined();
    dpkg('--purge', 'real');
    expect(scripts()).toBeUndefined();
  });
});
