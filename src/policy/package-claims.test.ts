import { describe, expect, it } from 'vitest';
import { MATCH_KINDS, type Match, type MatchKind } from './model.ts';
import { judgeClaims, type Shipper } from './package-claims.ts';
import { matchKey } from './policy-source.ts';

const FILES = new Set([
  '/usr/bin/ssh',
  '/usr/share/ssh/helper.py',
  '/usr/lib/systemd/system/ssh.service',
  '/lib/systemd/system/ssh@.service',
  '/usr/share/applications/org.example.Ssh.desktop',
]);
const shipper: Shipper = {
  kind: 'package',
  name: 'openssh-client',
  siblings: new Set(['openssh-client', 'openssh-server']),
  ships: (path) => FILES.has(path),
};
const entry = (kind: MatchKind, value: string, line = 1): Match => ({
  kind,
  value,
  at: { file: '/usr/share/pointsman/policies/ssh.yaml', line, column: 5 },
});
const none: ReadonlySet<string> = new Set();

describe('judgeClaims()', () => {
  it.each<[MatchKind, string]>([
    ['exec', '/usr/bin/ssh'],
    ['script', '/usr/share/ssh/helper.py'],
    ['package', 'openssh-server'],
    ['package', 'openssh-client:amd64'],
    ['unit', 'ssh.service'],
    ['unit', 'ssh@tty1.service'],
    ['cgroup', '/system.slice/ssh.service'],
    ['desktop', 'org.example.Ssh'],
  ])('judgeClaims() lets a package speak for %s %s of its source package', (kind, value) => {
    const match = [entry(kind, value)];
    expect(judgeClaims(match, shipper, none)).toEqual({ match, diagnostics: [] });
  });

  it.each<[MatchKind, string]>([
    ['exec', '/usr/bin/curl'],
    ['exec', '/usr/bin/ssh/../curl'],
    ['script', '/usr/bin/ufw'],
    ['package', 'curl'],
    ['package', 'openssh'],
    ['unit', 'cron.service'],
    ['unit', 'sshd@x.service'],
    ['cgroup', '/system.slice'],
    ['cgroup', '/'],
    ['cgroup', '/user.slice/ssh.service'],
    ['cgroup', '/system.slice/ssh.service/below'],
    ['container', 'ssh'],
    ['flatpak', 'org.example.Ssh'],
    ['snap', 'ssh'],
    ['desktop', 'org.example.Mail'],
    ['user', 'root'],
    ['user', '0'],
    ['group', 'ssh'],
  ])('judgeClaims() refuses it %s %s, and says who may let it', (kind, value) => {
    const own = entry('exec', '/usr/bin/ssh');
    const { match, diagnostics } = judgeClaims([own, entry(kind, value, 7)], shipper, none);
    expect(match).toEqual([own]);
    expect(diagnostics).toMatchObject([{ severity: 'error', code: 'not-its-own', line: 7 }]);
    expect(diagnostics[0]?.message).toContain(`openssh-client may not say what ${matchKey({ kind, value })} is`);
    expect(diagnostics[0]?.hint).toContain('packages: [openssh-client]');
  });

  it('judgeClaims() lets a package that the administrator trusts say everything', () => {
    const match = MATCH_KINDS.map((kind) => entry(kind, '/somebody'));
    expect(judgeClaims(match, shipper, new Set(['openssh-client'])).match).toBe(match);
    expect(judgeClaims(match, shipper, new Set(['openssh-server'])).match).toEqual([]);
  });

  it('judgeClaims() lets a file that no package has say nothing', () => {
    const { match, diagnostics } = judgeClaims(
      [entry('exec', '/usr/bin/ssh')],
      { kind: 'nobody' },
      new Set(['nobody']),
    );
    expect(match).toEqual([]);
    expect(diagnostics).toMatchObject([
      { code: 'not-its-own', hint: expect.stringContaining('/etc/pointsman/policies') },
    ]);
  });
});
