import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DpkgDatabase, parseStanzas } from './dpkg-database.ts';

const STATUS = `Package: curl
Status: install ok installed
Priority: optional
Section: web
Installed-Size: 500
Maintainer: Alessandro Ghedini <ghedo@debian.org>
Architecture: amd64
Version: 7.88.1-10+deb12u12
Depends: libc6 (>= 2.34), libcurl4 (= 7.88.1-10+deb12u12), zlib1g (>= 1:1.1.4)
Description: command line tool for transferring data with URL syntax
 Package: not-a-field
 .
 Status: neither this
Homepage: https://curl.se/

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same

Package: cups
Status: deinstall ok config-files
Architecture: amd64
Conffiles:
 /etc/init.d/cups 0123456789abcdef0123456789abcdef

Package: exim4
Description: mail transport agent
 Status: deinstall ok not-installed
Status: install reinstreq half-installed
Architecture: all
`;

let dir: string;
let database: DpkgDatabase;
const write = (path: string, text: string): void => writeFileSync(join(dir, path), text);

function installed(): Record<string, string[]> {
  return Object.fromEntries([...database.read().architectures].map(([name, each]) => [name, [...each.keys()]]));
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dpkg-database-'));
  mkdirSync(join(dir, 'info'));
  mkdirSync(join(dir, 'updates'));
  write('status', STATUS);
  database = new DpkgDatabase(dir);
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe('parseStanzas', () => {
  it('parseStanzas reads fields at the beginning of lines only', () => {
    expect(parseStanzas(STATUS).slice(0, 2)).toEqual([
      { name: 'curl', architecture: 'amd64', state: 'installed', version: '7.88.1-10+deb12u12', source: 'curl' },
      { name: 'libc6', architecture: 'amd64', state: 'installed', version: '', source: 'libc6' },
    ]);
  });

  it('parseStanzas never throws, and finds no more than there is', () => {
    const piece = fc.constantFrom(
      'Package: a',
      'Status: install ok installed',
      'Architecture: x',
      '\n',
      '\n\n',
      ' ',
      ':',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join('')),
    );
    fc.assert(fc.property(text, (any) => parseStanzas(any).length <= any.split('Package').length - 1));
  });
});

describe('DpkgDatabase', () => {
  it('DpkgDatabase gives the architectures of packages whose files are there', () => {
    expect(installed()).toEqual({ curl: ['amd64'], libc6: ['amd64', 'i386'], exim4: ['all'] });
  });

  it('DpkgDatabase believes the journal of a dpkg at work, the last entry most', () => {
    write('updates/0009', 'Package: nginx\nStatus: install ok half-installed\nArchitecture: amd64\n');
    write('updates/0010', 'Package: nginx\nStatus: install ok not-installed\nArchitecture: amd64\n');
    write('updates/0011', 'Package: cups\nStatus: install ok unpacked\nArchitecture: amd64\n');
    write('updates/0012', 'Package: libc6\nStatus: deinstall ok config-files\nArchitecture: i386\n');
    write('updates/tmp.i', 'Package: x\nStatus: install ok installed\nArchitecture: amd64\n');
    expect(installed()).toEqual({ curl: ['amd64'], libc6: ['amd64'], cups: ['amd64'], exim4: ['all'] });
  });

  it('DpkgDatabase has another version after each step of dpkg', () => {
    const versions = [database.version()];
    write('updates/0000', 'Package: nginx\nStatus: install ok unpacked\nArchitecture: amd64\n');
    versions.push(database.version());
    write('diversions', '/bin/sh\n/bin/sh.distrib\ndash\n');
    versions.push(database.version());
    write('status', STATUS.slice(1));
    versions.push(database.version());
    expect(new Set(versions).size).toBe(4);
    expect(database.version()).toBe(versions[3]);
  });

  it('DpkgDatabase knows where diverted files lie, but for the package that diverts them', () => {
    write('diversions', '/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/perf\n/usr/bin/perf.local\n:\n/cut\n');
    const { placeOf } = database.read();
    expect(placeOf('/bin/sh', 'bash')).toBe('/bin/sh.distrib');
    expect(placeOf('/bin/sh', 'dash')).toBe('/bin/sh');
    expect(placeOf('/usr/bin/perf', 'linux-perf')).toBe('/usr/bin/perf.local');
    expect(placeOf('/cut', 'bash')).toBe('/cut');
  });

  it('DpkgDatabase finds the list of one architecture before that of a package without', () => {
    write('info/libc6:i386.list', '/.\n');
    write('info/libc6.list', '/.\n');
    expect(database.listOf('libc6', 'i386')?.path).toBe(join(dir, 'info/libc6:i386.list'));
    expect(database.listOf('libc6', 'amd64')?.path).toBe(join(dir, 'info/libc6.list'));
    expect(database.listOf('curl', 'amd64')).toBeUndefined();
  });

  it('DpkgDatabase says nothing where there is no database', () => {
    const none = new DpkgDatabase(join(dir, 'none'));
    expect(none.read().architectures.size).toBe(0);
    expect(none.version()).toBe('- - -');
  });
});
