import { describe, expect, it } from 'vitest';
import { parsePolicyFile, parseSystemDefaultFile } from './parse-file.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const parse = (accept: string) => parsePolicyFile('f', encode(`pointsman: 1\napp: a\naccept: ${accept}\n`));

describe('validateAccept()', () => {
  it('validateAccept() gives every peer with its place, and the ports that it may connect to', () => {
    expect(parse('["lan:22/tcp", 192.0.2.7]')).toMatchObject({
      diagnostics: [],
      policy: {
        accept: {
          from: [
            {
              text: 'lan:22/tcp',
              target: { kind: 'group', group: 'lan' },
              ports: [{ first: 22, last: 22 }],
              protocol: 'tcp',
              at: { line: 3, column: 10 },
            },
            { text: '192.0.2.7', target: { kind: 'prefix' }, at: { line: 3, column: 24 } },
          ],
          at: { file: 'f', line: 3, column: 9 },
        },
      },
    });
  });

  it('validateAccept() tells an empty list, by which nobody may connect, from nothing said', () => {
    expect(parse('[]').policy?.accept).toEqual({ from: [], at: { file: 'f', line: 3, column: 9 } });
    expect(parsePolicyFile('f', encode('pointsman: 1\napp: a\n')).policy).not.toHaveProperty('accept');
  });

  it('validateAccept() takes one peer for a list of it', () => {
    expect(parse('lan').policy?.accept?.from.map(({ text }) => text)).toEqual(['lan']);
    expect(parse('"on-link:22/tcp"').policy?.accept?.from.map(({ target }) => target)).toEqual([{ kind: 'on-link' }]);
  });

  it('validateAccept() is the same in the system default', () => {
    const { systemDefault, diagnostics } = parseSystemDefaultFile('d', encode('pointsman: 1\naccept: ["lan:22"]\n'));
    expect(diagnostics).toEqual([]);
    expect(systemDefault?.accept).toMatchObject({ from: [{ text: 'lan:22' }], at: { line: 2, column: 9 } });
  });

  it.each([
    ['[loopback]', 10, 8, /of this machine to itself/],
    ['[lan, "127.0.0.0/8:80"]', 15, 16, /of this machine to itself/],
    ['"::1"', 9, 5, /of this machine to itself/],
    ['[multicast]', 10, 9, /multicast/],
  ])('validateAccept() warns that %s has no effect', (accept, column, length, words) => {
    const { policy, diagnostics } = parse(accept);
    expect(policy).toBeDefined();
    expect(diagnostics).toMatchObject([{ severity: 'warning', code: 'without-effect', line: 3, column, length }]);
    expect(diagnostics[0]?.message).toMatch(words);
  });

  it('validateAccept() warns of a peer that stands twice', () => {
    expect(parse('[lan, "*:22", lan]').diagnostics).toMatchObject([
      { severity: 'warning', code: 'duplicate-entry', column: 23 },
    ]);
  });

  it.each([
    ['[example.org]', 'invalid-destination', 10],
    ['["lan/icmp"]', 'invalid-destination', 15],
    ['[10.0.0.1/8]', 'host-bits-set', 10],
    ['[""]', 'invalid-value', 10],
    ['[5]', 'wrong-type', 10],
    ['5', 'wrong-type', 9],
    ['{lan: 22}', 'wrong-type', 9],
    ['deny', 'invalid-destination', 9],
  ])('validateAccept() refuses %s once', (accept, code, column) => {
    const { policy, diagnostics } = parse(accept);
    expect(policy).toBeUndefined();
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toMatchObject([{ code, column }]);
  });
});
