import { describe, expect, it } from 'vitest';
import { type Address, formatAddress, parseAddress } from '../net/address.ts';
import { ambiguousNames } from './ambiguous-names.ts';
import type { NameState } from './facts.ts';
import { mergePolicies } from './merge.ts';
import { parsePolicyFile } from './parse-file.ts';

const NOW_MS = 1_800_000_000_000;

const state = (...texts: string[]): NameState => ({
  known: true,
  addresses: texts.map((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new Error(text);
    return { address, expiresAtMs: NOW_MS + 1000 };
  }),
});
const NAMES = new Map([
  ['good.example', state('203.0.113.1', '203.0.113.2')],
  ['bad.example', state('203.0.113.2', '203.0.113.3')],
]);

function ambiguous(rules: string, nowMs = NOW_MS, resolvers: readonly Address[] = []) {
  const text = `pointsman: 1\napp: org.example.App\nmatch: [{ exec: /usr/bin/app }]\nrules:\n${rules}`;
  const { policy } = parsePolicyFile('app.yaml', Buffer.from(text));
  const { apps } = mergePolicies([{ layer: 'package', policies: policy === undefined ? [] : [policy] }]);
  return apps.flatMap((app) =>
    ambiguousNames(app, { names: NAMES, resolvers, onLink: [] }, nowMs).map(({ address, names }) => [
      formatAddress(address),
      ...names,
    ]),
  );
}

describe('ambiguousNames()', () => {
  it('gives an address of two names of which the rules say different things', () => {
    const shared = [['203.0.113.2', 'bad.example', 'good.example']];
    expect(ambiguous('  - { to: bad.example, do: deny }\n  - { to: "good.example:443", do: allow }\n')).toEqual(shared);
    expect(
      ambiguous(
        '  - { to: bad.example, do: allow }\n  - { to: good.example, do: allow, via: { require: { type: wifi } } }\n',
      ),
    ).toEqual(shared);
  });

  it('gives no address that the refusing rule does not speak of', () => {
    const rules = '  - { to: bad.example, do: deny }\n  - { to: good.example, do: allow }\n';
    expect(ambiguous(rules)).toHaveLength(1);
    expect(ambiguous(rules, NOW_MS, [{ family: 4, value: 0xcb007102n }])).toEqual([]);
  });

  it('gives none where the rules say the same, speak of other ports or protocols, or the address has run out', () => {
    expect(ambiguous('  - { to: [bad.example, good.example], do: allow }\n')).toEqual([]);
    expect(ambiguous('  - { to: "bad.example:80", do: deny }\n  - { to: "good.example:443", do: allow }\n')).toEqual(
      [],
    );
    expect(
      ambiguous('  - { to: "bad.example:1/udp", do: deny }\n  - { to: "good.example:1/tcp", do: allow }\n'),
    ).toEqual([]);
    expect(
      ambiguous('  - { to: bad.example, do: deny }\n  - { to: good.example, do: allow }\n', NOW_MS + 1000),
    ).toEqual([]);
  });
});
