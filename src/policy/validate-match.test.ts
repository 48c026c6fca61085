import { describe, expect, it } from 'vitest';
import { parsePolicyFile } from './parse-file.ts';

const parse = (match: string) =>
  parsePolicyFile('f', new TextEncoder().encode(`pointsman: 1\napp: a\nmatch: ${match}\n`));

describe('validateMatch()', () => {
  it.each([
    '[]',
    '[{exec: /usr/bin/a b}, {exec: /.hidden/..a}]',
    '[{cgroup: /system.slice/a@1.service}]',
    '[{unit: dbus-org.example@1.service}, {unit: user.slice}, {unit: "a\\\\x2db.scope"}]',
    '[{script: /opt/a b.py}, {script: /usr/bin/x}]',
    '[{package: curl}, {package: "libc6:amd64"}, {package: g++-12}, {package: NetworkManager-wifi}, {package: libx_1}]',
    '[{container: web}, {container: a.b_c-1}, {container: 0123456789ab}]',
    '[{flatpak: org.example.Mail}, {flatpak: org.example._7zip.web-mail}]',
    '[{snap: mail}, {snap: web-mail.send-now}, {snap: mail_two.Mail}]',
    '[{desktop: org.example.Mail}, {desktop: firefox-esr}, {desktop: 7zip}, {desktop: a.desktop.b}]',
    '[{group: staff}, {group: 0}, {group: "50"}, {group: _ssh}]',
    '[{user: _apt}, {user: 0}, {user: "1000"}, {user: machine$}]',
  ])('validateMatch() accepts %s', (match) => {
    expect(parse(match).diagnostics).toEqual([]);
  });

  it.each([
    '[{exec: usr/bin/a}]',
    '[{exec: ~/a}]',
    '[{exec: /usr/../bin/a}]',
    '[{exec: /usr//bin/a}]',
    '[{exec: /usr/bin/}]',
    '[{exec: /}]',
    '[{exec: ""}]',
    '[{exec: [/a]}]',
    '[{cgroup: /}]',
    '[{cgroup: a}]',
    '[{unit: a}]',
    '[{unit: a.timer}]',
    '[{unit: "a b.service"}]',
    '[{script: x.py}]',
    '[{script: /opt/../x.py}]',
    '[{package: ""}]',
    '[{package: "a b"}]',
    '[{package: -a}]',
    '[{package: "a:"}]',
    '[{package: a*}]',
    '[{container: ""}]',
    '[{container: a/b}]',
    '[{container: -a}]',
    '[{flatpak: Mail}]',
    '[{flatpak: org.example}]',
    '[{flatpak: org.exam-ple.Mail}]',
    '[{flatpak: org.example.7zip}]',
    '[{flatpak: app/org.example.Mail}]',
    '[{snap: Mail}]',
    '[{snap: mail-}]',
    '[{snap: mail.a.b}]',
    '[{snap: snap.mail.mail}]',
    '[{desktop: org.example.Mail.desktop}]',
    '[{desktop: /usr/share/applications/a.desktop}]',
    '[{desktop: a b}]',
    '[{group: -1}]',
    '[{group: 4294967295}]',
    '[{group: "a b"}]',
    '[{group: a, user: b}]',
    '[{user: -1}]',
    '[{user: 4294967295}]',
    '[{user: 1.5}]',
    '[{user: "a b"}]',
    '[{}]',
    '[/usr/bin/a]',
    '{exec: /a}',
    '/a',
    '[{exec: /a, user: b}]',
    '[null]',
  ])('validateMatch() refuses %s once', (match) => {
    const { policy, diagnostics } = parse(match);
    expect(policy).toBeUndefined();
    expect(diagnostics).toHaveLength(1);
  });

  it('validateMatch() refuses a path that no file can have', () => {
    expect(parse(`[{exec: /${'a'.repeat(4094)}}]`).diagnostics).toEqual([]);
    expect(parse(`[{exec: /${'a'.repeat(4095)}}]`).diagnostics).toMatchObject([{ code: 'invalid-value' }]);
  });

  it('validateMatch() keeps one of two entries that are the same, and warns', () => {
    const { policy, diagnostics } = parse('[{user: 5}, {exec: /a}, {user: "5"}]');
    expect(policy?.match).toHaveLength(2);
    expect(diagnostics).toMatchObject([{ severity: 'warning', code: 'duplicate-entry', column: 32 }]);
  });

  it('validateMatch() names every kind by what it is', () => {
    const { policy } = parse('[{script: /x}, {group: 5}, {container: web}, {user: 5}]');
    expect(policy?.match.map(({ kind, value }) => [kind, value])).toEqual([
      ['script', '/x'],
      ['group', '5'],
      ['container', 'web'],
      ['user', '5'],
    ]);
  });

  it.each([
    ['[{flatpack: a}]', 'did you mean "flatpak"?'],
    ['[{gid: 5}]', 'did you mean "group"?'],
    ['[{docker: a}]', 'did you mean "container"?'],
    ['[{deb: a}]', 'did you mean "package"?'],
    ['[{scirpt: /a}]', 'did you mean "script"?'],
  ])('validateMatch() says what %s may have meant', (match, hint) => {
    expect(parse(match).diagnostics).toMatchObject([{ code: 'unknown-key', hint }]);
  });

  it.each([
    ['[{kernel: nfs}, {exec: /a}]', 'invalid-match', 'a file of their own'],
    ['[{kernel: iscsi}]', 'invalid-value', 'exec: /usr/sbin/iscsid'],
    ['[{kernel: smb}]', 'invalid-value', 'kernel: cifs'],
    ['[{kernel: vxlan}]', 'invalid-value', 'always passes'],
  ])('validateMatch() says what is wrong with %s, and what to write', (match, code, hint) => {
    const { diagnostics } = parse(match);
    expect(diagnostics).toMatchObject([{ code }]);
    expect(diagnostics[0]?.hint).toContain(hint);
  });

  it.each([
    ['exec: "/usr/bin/*"', 'stand for themselves', 'package: NAME'],
    ['exec: "/opt/tool/[ab]"', 'stand for themselves', 'name each program'],
    ['script: "/opt/tool/?.py"', 'stand for themselves', 'name each script'],
    ['script: /opt/tool/__main__.py', 'is not seen when it starts', 'the program that calls it'],
    ['exec: /usr/bin/python3 /opt/x.py', 'no command line', 'exec: /usr/bin/python3'],
    ['exec: /usr/bin/python3 x.py', 'no command line', 'script: PATH'],
    ['exec: /usr/bin/java -jar x', 'no command line', 'exec: /usr/bin/java'],
    ['cgroup: "/system.slice/*.service"', 'is one cgroup', 'the cgroup that they are all in'],
    ['unit: getty@.service', 'is a template', 'getty@NAME.service'],
    ['user: 1000-2000', 'a range of numbers', 'a group that they are all in'],
    ['group: 100-200', 'a range of numbers', 'name each group'],
  ])('validateMatch() warns of %s', (entry, message, hint) => {
    const { policy, diagnostics } = parse(`[{${entry}}]`);
    expect(diagnostics).toMatchObject([{ severity: 'warning', code: 'misfit-match', line: 3 }]);
    expect(diagnostics[0]?.message).toContain(message);
    expect(diagnostics[0]?.hint).toContain(hint);
    expect(policy?.match).toHaveLength(1);
  });
});
