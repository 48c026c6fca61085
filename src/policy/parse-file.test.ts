import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiagnosticCode } from './diagnostic.ts';
import { parsePolicyFile, parseProfileFile, parseSystemDefaultFile, parseUplinkFile } from './parse-file.ts';
import { MAX_DIAGNOSTICS } from './report.ts';
import { MAX_FILE_BYTES } from './source-text.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parsePolicyFile('mail.yaml', encode(text));
const codes = (text: string) => parse(text).diagnostics.map(({ code }) => code);
const HEAD = 'pointsman: 1\napp: org.example.Mail\n';

const MAIL = `# mail
pointsman: 1
app: org.example.Mail
name: Example Mail
match:
  - exec: /usr/lib/example-mail/example-mail
  - unit: example-mail.service
  - cgroup: /user.slice/example.scope
  - user: mail
  - user: 1000
  - script: /opt/example-mail/sync.py
  - package: example-mail:amd64
  - container: mail
  - flatpak: org.example.Mail
  - snap: example-mail.daemon
  - desktop: org.example.Mail
  - group: mail
children: same
accept: ["lan:8025/tcp"]
rules:
  - to: ["imap.example.org:993", lan]
    do: allow
    via: { require: { encrypted: true }, avoid: { metered: true }, prohibit: { type: cellular }, else: any }
  - to: "*:80"
    do: drop
otherwise: deny
via: { prefer: { name: [home, office] } }
existing: drain
needs: { duration: long }
`;

describe('parsePolicyFile()', () => {
  it('parsePolicyFile() gives every value with the place where it stands', () => {
    const at = (line: number, column: number) => ({ file: 'mail.yaml', line, column });
    expect(parse(MAIL)).toMatchObject({
      diagnostics: [],
      app: 'org.example.Mail',
      policy: {
        app: 'org.example.Mail',
        name: 'Example Mail',
        file: 'mail.yaml',
        at: at(3, 6),
        match: [
          { kind: 'exec', value: '/usr/lib/example-mail/example-mail', at: at(6, 5) },
          { kind: 'unit', value: 'example-mail.service', at: at(7, 5) },
          { kind: 'cgroup', value: '/user.slice/example.scope', at: at(8, 5) },
          { kind: 'user', value: 'mail', at: at(9, 5) },
          { kind: 'user', value: '1000', at: at(10, 5) },
          { kind: 'script', value: '/opt/example-mail/sync.py', at: at(11, 5) },
          { kind: 'package', value: 'example-mail:amd64', at: at(12, 5) },
          { kind: 'container', value: 'mail', at: at(13, 5) },
          { kind: 'flatpak', value: 'org.example.Mail', at: at(14, 5) },
          { kind: 'snap', value: 'example-mail.daemon', at: at(15, 5) },
          { kind: 'desktop', value: 'org.example.Mail', at: at(16, 5) },
          { kind: 'group', value: 'mail', at: at(17, 5) },
        ],
        children: { are: 'same', at: at(18, 11) },
        accept: { from: [{ text: 'lan:8025/tcp', at: at(19, 10) }], at: at(19, 9) },
        rules: [
          {
            do: 'allow',
            at: at(21, 5),
            to: [
              { text: 'imap.example.org:993', ports: [{ first: 993, last: 993 }], at: at(21, 10) },
              { text: 'lan', target: { kind: 'group', group: 'lan' }, at: at(21, 34) },
            ],
            via: {
              require: { encrypted: true },
              prefer: {},
              avoid: { metered: true },
              prohibit: { type: ['cellular'] },
              else: 'any',
              at: at(23, 10),
            },
          },
          { do: 'drop', at: at(24, 5), to: [{ text: '*:80', at: at(24, 9) }] },
        ],
        otherwise: { do: 'deny', at: at(26, 12) },
        via: { prefer: { name: ['home', 'office'] }, else: 'block', at: at(27, 6) },
        existing: { word: 'drain', at: at(28, 11) },
        duration: { word: 'long', at: at(29, 20) },
      },
    });
  });

  it('parsePolicyFile() reads CR LF and a byte order mark the same way', () => {
    expect(parse(`\ufeff${MAIL.replaceAll('\n', '\r\n')}`)).toEqual(parse(MAIL));
  });

  it('parsePolicyFile() accepts a file that says only whose it is', () => {
    expect(parse(HEAD).policy).toMatchObject({ match: [], rules: [] });
  });

  it.each([
    '\n# nothing\n',
    'mask: true',
    'pointsman: 1\nmask: true\n',
    'pointsman: 1\napp: a\nmask: true\n',
    '# why\n"mask": true # here\n',
  ])('parsePolicyFile() takes %j for a mask', (text) => {
    expect(parse(text)).toEqual({ diagnostics: [], masked: true });
  });

  it.each(['', '\ufeff', '\n', ' \t\n\n', '\r\n'])(
    'parsePolicyFile() takes %j for what a crash left, not for a mask',
    (text) => {
      const { masked, policy, diagnostics } = parse(text);
      expect([masked, policy, diagnostics.map(({ code }) => code)]).toEqual([undefined, undefined, ['empty-file']]);
    },
  );

  it.each([
    ['mask: false', 'invalid-value'],
    ['mask: yes', 'invalid-value'],
    ['mask:', 'invalid-value'],
    ['mask: true\nrules: []', 'contradiction'],
    ['mask: true\napp: a\nmatch: [{exec: /a}]', 'contradiction'],
  ])('parsePolicyFile() says what is wrong with the mask %j', (text, code) => {
    const { masked, policy, diagnostics } = parse(text);
    expect([masked, policy, diagnostics.map((diagnostic) => diagnostic.code)]).toEqual([undefined, undefined, [code]]);
  });

  it('parsePolicyFile() takes no file with a mistake for a mask', () => {
    expect(parse('---\n').masked).toBeUndefined();
    expect(parse('# \u0000').masked).toBeUndefined();
  });

  it('parsePolicyFile() reports mistakes of every stage in one run, in the order of the file', () => {
    const text = `pointsman: 2
app: org.example.Mail
nmae: x
match:
  - exec: bin/x
rules:
  - to: ["10.0.0.1/8", lan, 5]
    do: alow
  - to: lan
    do: deny
    via: { require: { metered: true }, prohibit: { metered: true } }
limit: {}
limit: {}
`;
    expect(parse(text).diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual([
      '1:12 unsupported-version',
      '3:1 unknown-key',
      '5:11 invalid-value',
      '7:11 host-bits-set',
      '7:29 wrong-type',
      '8:9 invalid-value',
      '11:10 via-without-allow',
      '11:61 contradiction',
      '12:1 not-yet-enforced',
      '13:1 duplicate-key',
    ]);
  });

  it('parsePolicyFile() points at the very characters and says what was meant', () => {
    const [diagnostic] = parse(`${HEAD}rules:\n  - to: "[2001:db8::1/32]:443"\n    do: allow\n`).diagnostics;
    expect(diagnostic).toMatchObject({ line: 4, column: 11, length: 14, source: '  - to: "[2001:db8::1/32]:443"' });
    expect(parse(`${HEAD}othrwise: deny\n`).diagnostics).toMatchObject([{ hint: 'did you mean "otherwise"?' }]);
  });

  it.each([
    'protect: {}',
    'limit: {}',
    'needs: {capacity: low-latency}',
    'otherwise: ask',
    'rules: [{to: lan, do: ask}]',
    'rules: [{to: lan, do: allow, limit: {}}]',
    'rules: [{to: "*.example.org", do: allow}]',
  ])('parsePolicyFile() refuses %s by name, because it cannot be enforced yet', (line) => {
    expect(codes(`${HEAD}${line}\n`)).toEqual(['not-yet-enforced']);
  });

  it.each([
    ['a wrong value elsewhere', MAIL.replace('otherwise: deny', 'otherwise: maybe')],
    ['broken YAML below', MAIL.replace('rules:', 'rules: [{"')],
    ['broken YAML above', `x: {\n${MAIL}`],
    ['deep nesting', `${MAIL}x: ${'['.repeat(100)}`],
    ['bad bytes', `${MAIL}# \u0000`],
    ['too many bytes', MAIL + '#'.repeat(MAX_FILE_BYTES)],
  ])('parsePolicyFile() tells whose file it is in spite of %s', (_, text) => {
    const result = parse(text);
    expect(result.policy).toBeUndefined();
    expect(result.app).toBe('org.example.Mail');
    expect(result.match).toContainEqual(expect.objectContaining({ value: '/usr/lib/example-mail/example-mail' }));
    expect(result.match).toHaveLength(12);
    expect(result.match).toContainEqual(expect.objectContaining({ kind: 'package', value: 'example-mail:amd64' }));
    expect(result.children).toMatchObject({ are: 'same', at: { line: expect.any(Number) } });
  });
});

/** Found by other stages, which no longer have the text. */
type CodeOfOthers =
  | 'unreadable-file'
  | 'file-not-trusted'
  | 'not-read'
  | 'wrong-directory'
  | 'match-conflict'
  | 'cut-off-rule'
  | 'not-its-own'
  | 'claims-not-checked'
  | 'no-match'
  | 'unknown-uplink'
  | 'unknown-profile'
  | 'name-mismatch';

const EXAMPLES: Readonly<Record<Exclude<DiagnosticCode, CodeOfOthers>, string>> = {
  'empty-file': '',
  'file-too-large': '#'.repeat(MAX_FILE_BYTES + 1),
  'bad-encoding': 'name: \ud800',
  'control-character': `${HEAD}name: "a\\0"`,
  'yaml-syntax': `${HEAD}name: "`,
  'yaml-alias': `${HEAD}rules: [{to: *:443, do: allow}]`,
  'yaml-anchor': `${HEAD}name: &a b`,
  'yaml-tag': `${HEAD}name: !!str b`,
  'yaml-merge-key': `${HEAD}<<: {}`,
  'yaml-directive': `%YAML 1.1\n---\n${HEAD}`,
  'several-documents': `${HEAD}---\n${HEAD}`,
  'too-deep': '['.repeat(1000),
  'too-long': `${HEAD}match: [${'{user: a},'.repeat(1001)}]`,
  'too-many-mistakes': `rules: [${'{},'.repeat(MAX_DIAGNOSTICS)}]`,
  'duplicate-key': `${HEAD}name: a\nname: b`,
  'unknown-key': `${HEAD}colour: red`,
  'missing-key': 'pointsman: 1',
  'wrong-type': `${HEAD}name: 5`,
  'invalid-value': `${HEAD}otherwise: perhaps`,
  'unsupported-version': 'pointsman: 2\napp: a',
  'not-yet-enforced': `${HEAD}limit: {}`,
  'misfit-match': `${HEAD}match: [{exec: "/usr/bin/*"}]`,
  'invalid-match': `${HEAD}match: [{exec: /a, user: b}]`,
  'invalid-destination': `${HEAD}rules: [{to: "a b", do: deny}]`,
  'host-bits-set': `${HEAD}rules: [{to: 10.0.0.1/8, do: deny}]`,
  'port-in-address': `${HEAD}rules: [{to: "2001:db8::1:443", do: deny}]`,
  contradiction: `${HEAD}via: {require: {type: [wifi, vpn]}, prohibit: {type: [vpn, wifi, other]}}`,
  'via-without-allow': `${HEAD}rules: [{to: lan, do: deny, via: {}}]`,
  'duplicate-entry': `${HEAD}match: [{user: a}, {user: a}]`,
  'without-effect': `${HEAD}accept: [loopback]`,
  'unreachable-rule': `${HEAD}rules: [{to: "*", do: deny}, {to: lan, do: allow}]`,
};

describe('every code', () => {
  it.each(Object.entries(EXAMPLES))('parsePolicyFile() says %s of its example', (code, text) => {
    const bytes = code === 'bad-encoding' ? Uint8Array.from([...encode('name: '), 0xff]) : encode(text);
    const found = parsePolicyFile('f', bytes).diagnostics;
    expect(found.map((diagnostic) => diagnostic.code)).toContain(code);
    expect(found.length).toBeLessThanOrEqual(MAX_DIAGNOSTICS + 1);
  });
});

describe('hostile input', () => {
  const isJudged = (bytes: Uint8Array): boolean => {
    const { policy, masked, diagnostics } = parsePolicyFile('f', bytes);
    parseUplinkFile('f', bytes);
    parseProfileFile('f', bytes);
    parseSystemDefaultFile('f', bytes);
    const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
    return (policy !== undefined || masked === true) === (errors === 0);
  };

  it('parsePolicyFile() judges any bytes and any text', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), isJudged), { numRuns: 500 });
    const yaml = fc.array(
      fc.constantFrom(...'[]{}:,-?&*!|>\'"%#\n\t ~<ax1'.split(''), ': ', '\n- ', '\n  ', 'to', 'match'),
    );
    fc.assert(
      fc.property(yaml, (parts) => isJudged(encode(parts.join('')))),
      { numRuns: 1000 },
    );
  });

  it('parsePolicyFile() judges any change of a valid file', () => {
    const change = fc.record({
      at: fc.nat(MAIL.length),
      cut: fc.nat(8),
      put: fc.oneof(
        fc.string({ maxLength: 3 }),
        fc.constantFrom('\n', '  ', '- ', ': ', '[', '}', '"', 'null', '1e999', '\0'),
      ),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const text = changes.reduce((old, { at, cut, put }) => old.slice(0, at) + put + old.slice(at + cut), MAIL);
        return isJudged(encode(text));
      }),
      { numRuns: 500 },
    );
  });

  it('parsePolicyFile() judges any shape of values under the known keys', () => {
    const keys = [
      'pointsman',
      'app',
      'name',
      'match',
      'rules',
      'to',
      'do',
      'via',
      'require',
      'type',
      'exec',
      'user',
      'else',
      'x',
    ];
    const shapes = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom<unknown>(1, 'allow', 'lan', '*', '/x', null, true, -1, 1e300, '', 'ask'),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie('node'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(shapes.node, (value) => isJudged(encode(JSON.stringify(value)))),
      { numRuns: 1500 },
    );
  });

  it('parsePolicyFile() reads the largest policy that it promises to', () => {
    const to = (port: number): string =>
      Array.from({ length: 30 }, (_, index) => `"10.0.${index}.0/24:${port}"`).join(', ');
    const rules = Array.from({ length: 1000 }, (_, index) => `  - to: [${to(index + 1)}]\n    do: allow\n`);
    const result = parse(`${HEAD}rules:\n${rules.join('')}`);
    expect(result.diagnostics).toEqual([]);
    expect(result.policy?.rules).toHaveLength(1000);
  });
});
