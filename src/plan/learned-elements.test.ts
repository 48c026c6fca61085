import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Facts, NameState } from '../policy/facts.ts';
import { mergePolicies } from '../policy/merge.ts';
import { parsePolicyFile } from '../policy/parse-file.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { compile } from './compile.ts';
import { learnedElements } from './learned-elements.ts';
import { PROGRAM_NONE_FIRST } from './reserved.ts';

const NOW_MS = 1_800_000_000_000;
const EXPIRES_MS = NOW_MS + 300_000;

const known = (...texts: string[]): NameState => ({
  known: true,
  addresses: texts.flatMap((text) => {
    const address = parseAddress(text);
    return address === undefined ? [] : [{ address, expiresAtMs: EXPIRES_MS }];
  }),
});

function compilation(rules: string, names: Facts['names'] = new Map(), isMarked = true) {
  const text = `pointsman: 1\napp: org.example.App\nmatch: [{ exec: /usr/bin/app }]\nrules:\n${rules}`;
  const { policy } = parsePolicyFile('app.yaml', Buffer.from(text));
  const { apps } = mergePolicies([{ layer: 'administrator', policies: policy === undefined ? [] : [policy] }]);
  const empty = { users: new Map(), groups: new Map(), packages: new Map(), containers: new Map() };
  return compile({
    policySet: { apps, uplinks: [], systemDefault: builtinSystemDefault },
    facts: { uplinks: [], onLink: [], resolvers: [], names, ...empty },
    host: {
      queue: 'nft',
      cgroups: [],
      ...(isMarked && { programs: { none: PROGRAM_NONE_FIRST, numbers: new Map([['exec:/usr/bin/app', 1]]) } }),
    },
    appIds: new Map([['org.example.App', 1]]),
    nowMs: NOW_MS,
  });
}

const shown = (additions: ReturnType<typeof learnedElements>) =>
  additions.flatMap(({ set, elements }) =>
    elements.map(({ key }) =>
      [
        set.name.replace(/_[0-9a-f]{14}$/, ''),
        ...key.map((part) => (typeof part === 'string' ? part : Number(part.first & 0xffffn))),
      ].join(' '),
    ),
  );

describe('learnedElements()', () => {
  it('gives what sets in force lack, by name, family, protocol and port', () => {
    const plan = compilation('  - { to: ["a.example:443/tcp", b.example], do: allow }\n');
    expect(shown(learnedElements(plan, new Map([['a.example', known('203.0.113.7', '2001:db8::7')]]), NOW_MS))).toEqual(
      [`name_services4 ${0x7107} 6 443`, 'name_services6 7 6 443'],
    );
    expect(shown(learnedElements(plan, new Map([['b.example', known('203.0.113.7')]]), NOW_MS))).toEqual([
      `names4 ${0x7107}`,
    ]);
    expect(learnedElements(plan, new Map([['c.example', known('203.0.113.7')]]), NOW_MS)).toEqual([]);
  });

  it('gives nothing where the kernel tells no applications', () => {
    const plan = compilation('  - { to: a.example, do: allow }\n', new Map(), false);
    expect(learnedElements(plan, new Map([['a.example', known('203.0.113.7')]]), NOW_MS)).toEqual([]);
  });

  it('gives what the next plan says of the same names, into the same sets', () => {
    const rules =
      '  - { to: ["a.example:443", "a.example:80-81", b.example], do: allow }\n  - { to: "a.example:25", do: deny }\n';
    const fresh = new Map([
      ['a.example', known('203.0.113.7', '203.0.113.8')],
      ['b.example', known('203.0.113.9', '203.0.113.10')],
    ]);
    const { plan } = compilation(rules, fresh);
    const additions = learnedElements(compilation(rules), fresh, NOW_MS);
    expect(additions.length).toBeGreaterThan(2);
    for (const { set, elements } of additions) expect(plan.nft.sets.get(set.name)?.elements).toEqual(elements);
  });

  it('gives single values to sets without intervals, though addresses and ports be neighbours', () => {
    const plan = compilation('  - { to: ["a.example:80", "a.example:81", b.example], do: allow }\n');
    const fresh = new Map([
      ['a.example', known('203.0.113.7', '203.0.113.8')],
      ['b.example', known('203.0.113.9', '203.0.113.10')],
    ]);
    const additions = learnedElements(plan, fresh, NOW_MS);
    expect(additions.map(({ set, elements }) => [set.flags, elements.length])).toEqual([
      [['timeout'], 2],
      [['timeout'], 8],
    ]);
    const parts = additions.flatMap(({ elements }) => elements.flatMap(({ key }) => key));
    expect(parts.every((part) => typeof part !== 'string' && part.first === part.last)).toBe(true);
  });
});
