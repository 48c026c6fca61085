import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Children, Match, MatchKind } from '../policy/model.ts';
import { MatchLooks } from './match-looks.ts';

const ELF = '\x7fELF';
const at = { file: 'a.yaml', line: 1, column: 1 };
const SAME: Children = { are: 'same', at };
let root: string;

function put(path: string, text: string, mode = 0o755): void {
  const place = join(root, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, text);
  chmodSync(place, mode);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

/** What is said of the first entry. */
function said(
  entries: readonly (readonly [kind: MatchKind, value: string])[],
  { isComplete = true, children = undefined as Children | undefined } = {},
) {
  const match: readonly Match[] = entries.map(([kind, value]) => ({ kind, value, at }));
  const [first] = match;
  if (first === undefined) throw new RangeError('no entry');
  const misfit = new MatchLooks({ root, isComplete }).misfit(first, {
    match,
    ...(children !== undefined && { children }),
  });
  return misfit === undefined ? undefined : `${misfit.message} -> ${misfit.hint}`;
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'match-looks-'));
  put('/usr/bin/curl', ELF);
  put('/usr/bin/dash', ELF);
  link('/bin', 'usr/bin');
  link('/usr/bin/sh', 'dash');
});

afterEach(() => rmSync(root, { recursive: true }));

describe('MatchLooks, of programs', () => {
  it('says nothing of what is as it seems, by links, too', () => {
    put('/opt/job', '#!/bin/sh\n');
    for (const entry of [
      ['exec', '/usr/bin/curl'],
      ['exec', '/bin/curl'],
      ['script', '/opt/job'],
    ] as const) {
      expect(said([entry]), entry.join(' ')).toBeUndefined();
    }
  });

  it('names a missing file, and the one that was meant', () => {
    expect(said([['exec', '/usr/local/bin/curl']])).toBe(
      'there is no /usr/local/bin/curl here -> did you mean exec: /usr/bin/curl?',
    );
    expect(said([['exec', '/usr/bin/crul']])).toBe(
      'there is no /usr/bin/crul here -> did you mean exec: /usr/bin/curl?',
    );
    expect(said([['exec', '/opt/vendor/agent']])).toMatch(
      /^there is no \/opt\/vendor\/agent here -> it fits as soon as/,
    );
    link('/usr/bin/dangling', 'nowhere');
    expect(said([['exec', '/usr/bin/dangling']])).toMatch(/^there is no \/usr\/bin\/dangling here/);
  });

  it('does not call missing what may be on the machine that a package is for', () => {
    for (const entry of [
      ['exec', '/usr/bin/none'],
      ['user', 'nobody-here'],
      ['unit', 'none.service'],
      ['package', 'none'],
    ] as const) {
      expect(said([entry], { isComplete: false }), entry.join(' ')).toBeUndefined();
    }
  });

  it('says what a directory, a FIFO by name and a file without its right are, also for a package', () => {
    put('/usr/bin/plain', ELF, 0o644);
    expect(said([['exec', '/usr/bin']], { isComplete: false })).toMatch(/^\/usr\/bin is a directory/);
    expect(said([['script', '/usr/bin']])).toMatch(/^\/usr\/bin is a directory.*name each script in it/);
    expect(said([['exec', '/usr/bin/plain']])).toBe(
      'nobody has the right to run /usr/bin/plain -> chmod a+x /usr/bin/plain, or name the file that runs',
    );
    put('/opt/app.jar', 'PK\x03\x04');
    expect(said([['exec', '/opt/app.jar']])).toMatch(/^\/opt\/app.jar is no executable/);
  });

  it('tells a script that exec names, its interpreter, and what it starts', () => {
    put('/usr/lib/browser/browser', ELF);
    put('/usr/bin/browser', '#!/bin/sh\n# exec /usr/bin/curl\nFLAGS=x\nexec "/usr/lib/browser/browser" $FLAGS "$@"\n');
    put('/usr/bin/tool', '#! /usr/bin/env sh\nexec "$HERE/tool"\n');
    expect(said([['exec', '/usr/bin/browser']])).toBe(
      '/usr/bin/browser is a script: what runs is its interpreter, /usr/bin/dash, which is not this application -> ' +
        'name it so: script: /usr/bin/browser; what it starts is another program: exec: /usr/lib/browser/browser',
    );
    expect(said([['exec', '/usr/bin/tool']])).toMatch(
      /its interpreter, \/usr\/bin\/dash, .* -> name it so: script: \/usr\/bin\/tool$/,
    );
  });

  it('tells an executable that script names', () => {
    expect(said([['script', '/usr/bin/curl']])).toBe(
      '/usr/bin/curl is an executable, and no script -> name it so: exec: /usr/bin/curl',
    );
  });

  it('tells a program that runs another file in its own place, or connects by one, until that is named as well', () => {
    put('/usr/bin/passt', ELF);
    put('/usr/bin/passt.avx2', ELF);
    link('/usr/bin/pasta', 'passt');
    link('/usr/bin/pasta.avx2', 'passt.avx2');
    put('/usr/bin/quick', ELF);
    put('/usr/bin/quick.avx2', ELF);
    put('/usr/bin/git', ELF);
    put('/usr/lib/git-core/git-remote-http', ELF);
    put('/usr/bin/wrapped', ELF);
    put('/usr/bin/.wrapped-wrapped', ELF);
    expect(said([['exec', '/usr/bin/quick']])).toBe(
      '/usr/bin/quick runs another file in its own place, /usr/bin/quick.avx2, which is not named -> ' +
        'name that as well: exec: /usr/bin/quick.avx2',
    );
    // Of these it is known, and meant as well.
    expect(said([['exec', '/usr/bin/pasta']])).toBeUndefined();
    expect(said([['exec', '/usr/bin/wrapped']])).toMatch(/\.wrapped-wrapped, which is not named/);
    expect(said([['exec', '/usr/bin/git']])).toMatch(
      /^\/usr\/bin\/git leaves connecting to \/usr\/lib\/git-core\/git-remote-http/,
    );
    expect(
      said([
        ['exec', '/usr/bin/quick'],
        ['exec', '/bin/quick.avx2'],
      ]),
    ).toBeUndefined();
    expect(said([['exec', '/usr/bin/git']], { children: SAME })).toBeUndefined();
  });

  it('tells one program under many names', () => {
    put('/usr/bin/snap', ELF);
    put('/usr/bin/busybox', ELF);
    link('/snap/bin/mail', '../../usr/bin/snap');
    link('/usr/bin/nc', 'busybox');
    expect(said([['exec', '/snap/bin/mail']])).toMatch(/-> name the snap: snap: mail$/);
    expect(said([['exec', '/usr/bin/nc']])).toMatch(/is a link to \/usr\/bin\/busybox, which is many programs/);
    expect(said([['exec', '/usr/bin/busybox']])).toBeUndefined();
  });

  it('says nothing of what a link leads to outside of another root', () => {
    link('/usr/bin/outside', '/usr/bin/env');
    expect(said([['script', '/usr/bin/outside']])).toBeUndefined();
  });
});

describe('MatchLooks, of names', () => {
  it('tells users and groups that are not in the files', () => {
    put('/etc/passwd', 'root:x:0:0::/:/bin/sh\nbackup:x:34:34::/:/bin/sh\n');
    put('/etc/group', 'root:x:0:\nplugdev:x:46:\n');
    expect(said([['user', 'backup']])).toBeUndefined();
    expect(said([['user', '4711']])).toBeUndefined();
    expect(said([['user', 'backpu']])).toBe('/etc/passwd has no user backpu -> did you mean user: backup?');
    expect(said([['group', 'ldap-people']])).toBe(
      '/etc/group has no group ldap-people -> one that another service knows is named by its number, as getent group ldap-people shows it: group: NUMBER',
    );
  });

  it('tells units that are not there, are masked, or run under another name', () => {
    put('/usr/lib/systemd/system/ssh.service', '');
    put('/usr/lib/systemd/system/getty@.service', '');
    link('/etc/systemd/system/sshd.service', '/usr/lib/systemd/system/ssh.service');
    link('/etc/systemd/system/getty@tty1.service', '/usr/lib/systemd/system/getty@.service');
    link('/etc/systemd/system/cups.service', '/dev/null');
    for (const name of ['ssh.service', 'getty@tty1.service', 'getty@tty9.service', 'run-1.scope', 'user.slice'])
      expect(said([['unit', name]]), name).toBeUndefined();
    expect(said([['unit', 'shs.service']])).toBe(
      'systemd has no unit shs.service here -> did you mean unit: ssh.service?',
    );
    expect(said([['unit', 'sshd.service']])).toBe(
      'sshd.service is another name of ssh.service, and runs under that -> name it so: unit: ssh.service',
    );
    expect(said([['unit', 'cups.service']])).toBe(
      'cups.service is masked: it never runs -> systemctl unmask cups.service',
    );
  });

  it('tells packages that are not installed, or have no program', () => {
    const stanza = (name: string, source: string): string =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nSource: ${source}\n`;
    put('/var/lib/dpkg/status', [stanza('curl', 'curl'), stanza('libcurl4', 'curl')].join('\n'));
    put('/var/lib/dpkg/info/curl.list', '/.\n/usr\n/usr/bin\n/usr/bin/curl\n');
    put('/var/lib/dpkg/info/libcurl4.list', '/.\n/usr\n/usr/lib\n/usr/lib/libcurl.so.4\n');
    put('/usr/lib/libcurl.so.4', ELF, 0o644);
    expect(said([['package', 'curl']])).toBeUndefined();
    expect(said([['package', 'crul']])).toBe('package crul is not installed here -> did you mean package: curl?');
    expect(said([['package', 'libcurl4']])).toBe(
      'package libcurl4 has no program -> programs of the same source are in package: curl',
    );
  });
});
