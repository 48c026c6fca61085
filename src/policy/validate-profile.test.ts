import { describe, expect, it } from 'vitest';
import { parsePolicyFile, parseProfileFile } from './parse-file.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const parse = (when: string) =>
  parseProfileFile('/etc/pointsman/profiles/work.yaml', encode(`pointsman: 1\nprofile: work\nwhen: ${when}\n`));

describe('parseProfileFile()', () => {
  it('parseProfileFile() reads what must hold together, and what may hold instead', () => {
    expect(parse('[{uplink: office, time: "Mon-Fri 08:00-18:00"}, {time: [Sat, "Sun 10:00-12:00"]}]')).toEqual({
      profile: {
        name: 'work',
        when: [
          { uplinks: ['office'], times: [{ days: [1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1080 }] },
          {
            times: [
              { days: [6], fromMinute: 0, toMinute: 1440 },
              { days: [0], fromMinute: 600, toMinute: 720 },
            ],
          },
        ],
        at: { file: '/etc/pointsman/profiles/work.yaml', line: 2, column: 10 },
      },
      diagnostics: [],
    });
  });

  it.each([
    ['[]', 'invalid-value'],
    ['[{}]', 'invalid-value'],
    ['{uplink: a}', 'wrong-type'],
    ['[{uplink: Office}]', 'invalid-value'],
    ['[{time: "Mon 8-18"}]', 'invalid-value'],
    ['[{ssid: ""}]', 'invalid-value'],
    ['[{ssid: 1234}]', 'wrong-type'],
    [`[{ssid: "${'é'.repeat(17)}"}]`, 'invalid-value'],
    ['[{gateway: []}]', 'invalid-value'],
    ['[{gateway: 192.0.2.1}]', 'invalid-value'],
    ['[{domain: "*.example.org"}]', 'invalid-value'],
    ['[{upllink: a}]', 'unknown-key'],
  ])('parseProfileFile() refuses when: %s', (when, code) => {
    const { profile, diagnostics } = parse(when);
    expect(profile).toBeUndefined();
    expect(diagnostics).toMatchObject([{ code }]);
  });

  it('parseProfileFile() reads what networks are told by, in one form', () => {
    const entry = '{ssid: Home, gateway: [00-00-5E-00-53-01, "00:00:5e:00:53:02"], domain: Home.Example.}';
    expect(parse(`[${entry}]`).diagnostics).toEqual([]);
    expect(parse(`[${entry}]`).profile?.when).toEqual([
      { ssids: ['Home'], gateways: ['00:00:5e:00:53:01', '00:00:5e:00:53:02'], domains: ['home.example'] },
    ]);
  });

  it('parseProfileFile() shows where in a list a MAC address is wrong', () => {
    const { diagnostics } = parse('[{gateway: ["00:00:5e:00:53:01", 00-005e-005302]}]');
    expect(diagnostics).toEqual([
      expect.objectContaining({
        code: 'invalid-value',
        line: 3,
        column: 40,
        length: 14,
        message: '"00-005e-005302": this is no MAC address such as "00:00:5e:00:53:01"',
        hint: 'did you mean 00:00:5e:00:53:02?',
      }),
    ]);
  });

  it('parseProfileFile() wants the file to be called as the profile', () => {
    const { diagnostics } = parseProfileFile('home.yaml', encode('pointsman: 1\nprofile: work\nwhen: [{uplink: a}]\n'));
    expect(diagnostics).toMatchObject([{ code: 'name-mismatch', message: expect.stringContaining('profile "work"') }]);
  });

  it('parsePolicyFile() takes one profile or several, and a rule for a time hides no other', () => {
    const text =
      'pointsman: 1\napp: a\nrules: [{to: "*", do: deny, during: work}, {to: lan, do: allow, during: [a, b]}]\n';
    const { policy, diagnostics } = parsePolicyFile('a.yaml', encode(text));
    expect(diagnostics).toEqual([]);
    expect(policy?.rules.map(({ during }) => during)).toEqual([['work'], ['a', 'b']]);
  });
});
