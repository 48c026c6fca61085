import { describe, expect, it } from 'vitest';
import { parseSystemDefaultFile } from './parse-file.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const parse = (text: string) => parseSystemDefaultFile('default.yaml', new TextEncoder().encode(text));

describe('parseSystemDefaultFile()', () => {
  it('parseSystemDefaultFile() gives the built-in default for an empty file and for one that states nothing', () => {
    expect(parse('# nothing\n')).toEqual({ systemDefault: builtinSystemDefault, diagnostics: [] });
    expect(parse('pointsman: 1\n')).toEqual({ systemDefault: builtinSystemDefault, diagnostics: [] });
  });

  it('parseSystemDefaultFile() treats unknown senders as other programs unless stated', () => {
    const otherwise = { do: 'deny', at: { file: 'default.yaml', line: 2, column: 12 } };
    expect(parse('pointsman: 1\notherwise: deny\n').systemDefault).toMatchObject({ otherwise, unknown: otherwise });
    expect(parse('pointsman: 1\notherwise: deny\nunknown: drop\n').systemDefault).toMatchObject({
      otherwise,
      unknown: { do: 'drop', at: { line: 3 } },
    });
  });

  it('parseSystemDefaultFile() reads via, whenAway and uplinks', () => {
    expect(
      parse(
        'pointsman: 1\nvia: { avoid: { metered: true } }\nwhenAway: open\nuplinks: files\ntrust-found: true\nuser-mode-networking: deny\n',
      ).systemDefault,
    ).toMatchObject({
      via: { avoid: { metered: true }, else: 'block' },
      whenAway: 'open',
      uplinks: 'files',
      trustFound: true,
      userModeNetworking: { word: 'deny', at: { line: 6 } },
    });
  });

  it.each([
    ['otherwise: ask', 'not-yet-enforced'],
    ['unknown: ask', 'not-yet-enforced'],
    ['limit: {}', 'not-yet-enforced'],
    ['accept: [example.org]', 'invalid-destination'],
    ['whenAway: sometimes', 'invalid-value'],
    ['uplinks: none', 'invalid-value'],
    ['trust-found: files', 'wrong-type'],
    ['user-mode-networking: allow', 'invalid-value'],
    ['whenaway: open', 'unknown-key'],
    ['rules: []', 'unknown-key'],
    ['via: { require: { metered: true }, prohibit: { metered: true } }', 'contradiction'],
  ])('parseSystemDefaultFile() refuses %s', (line, code) => {
    const { systemDefault, diagnostics } = parse(`pointsman: 1\n${line}\n`);
    expect(systemDefault).toBeUndefined();
    expect(diagnostics).toMatchObject([{ code }]);
  });
});
