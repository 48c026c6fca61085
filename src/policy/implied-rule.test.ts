import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { rulesInForce } from './implied-rule.ts';
import { mergePolicies } from './merge.ts';
import { parsePolicyFile } from './parse-file.ts';

const resolver = parseAddress('192.0.2.53');
const resolvers = resolver === undefined ? [] : [resolver];

function implied(rules: string) {
  const text = `pointsman: 1\napp: org.example.App\nmatch: [{ exec: /usr/bin/app }]\nrules:\n${rules}`;
  const { policy, diagnostics } = parsePolicyFile('app.yaml', Buffer.from(text));
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  const { apps } = mergePolicies([{ layer: 'package', policies: policy === undefined ? [] : [policy] }]);
  const inForce = apps[0] === undefined ? [] : rulesInForce(apps[0], resolvers);
  return inForce.find(({ index }) => index === 'implied')?.rule;
}

describe('rulesInForce()', () => {
  it('allows the queries that a rule with a host name needs, by the way of that rule', () => {
    const rule = implied(
      '  - { to: lan, do: deny }\n  - { to: host.example.org, do: allow, via: { require: { type: wifi } } }\n',
    );
    expect(rule).toMatchObject({ do: 'allow', via: { require: { type: ['wifi'] } }, at: { line: 6 } });
    expect(rule?.to.map(({ text }) => text)).toEqual(['resolver 192.0.2.53']);
  });

  it('implies nothing for a rule that refuses a name, or that no packet reaches', () => {
    expect(implied('  - { to: host.example.org, do: deny }\n')).toBeUndefined();
    expect(implied('  - { to: "*", do: deny }\n  - { to: host.example.org, do: allow }\n')).toBeUndefined();
  });

  it('puts them behind the rules of stronger layers', () => {
    const parse = (rules: string) =>
      parsePolicyFile('app.yaml', Buffer.from(`pointsman: 1\napp: org.example.App\nrules:\n${rules}`)).policy;
    const lock = parse('  - { to: internet, do: deny }\n');
    const own = parse('  - { to: lan, do: deny }\n  - { to: host.example.org, do: allow }\n');
    if (lock === undefined || own === undefined) throw new Error('test data');
    const { apps } = mergePolicies([
      { layer: 'package', policies: [own] },
      { layer: 'locks', policies: [lock] },
    ]);
    const order = apps.flatMap((policy) => rulesInForce(policy, resolvers).map(({ index }) => index));
    expect(order).toEqual([0, 'implied', 1, 2]);
  });

  it('is absent where no rule names a host, and where one speaks of port 53', () => {
    expect(implied('  - { to: lan, do: deny }\n')).toBeUndefined();
    expect(implied('  - { to: "*:53", do: deny }\n  - { to: host.example.org, do: allow }\n')).toBeUndefined();
  });
});
