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
});
