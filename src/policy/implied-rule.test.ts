import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { impliedRule } from './implied-rule.ts';
import { mergePolicies } from './merge.ts';
import { parsePolicyFile } from './parse-file.ts';

const resolver = parseAddress('192.0.2.53');
const resolvers = resolver === undefined ? [] : [resolver];

function implied(rules: string) {
  const text = `pointsman: 1\napp: org.example.App\nmatch: [{ exec: /usr/bin/app }]\nrules:\n${rules}`;
  const { policy, diagnostics } = parsePolicyFile('app.yaml', Buffer.from(text));
  expect(diagnostics).toEqual([]);
  const { apps } = mergePolicies([{ layer: 'package', policies: policy === undefined ? [] : [policy] }]);
  return apps[0] === undefined ? undefined : impliedRule(apps[0], resolvers);
}

describe('impliedRule()', () => {
  it('allows the queries that a rule with a host name needs, by the way of that rule', () => {
    const rule = implied(
      '  - { to: lan, do: deny }\n  - { to: host.example.org, do: allow, via: { require: { type: wifi } } }\n',
    );
    expect(rule).toMatchObject({ do: 'allow', via: { require: { type: ['wifi'] } }, at: { line: 6 } });
    expect(rule?.to.map(({ text }) => text)).toEqual(['resolver 192.0.2.53']);
  });

  it('allows them by the policy’s own way where the rule with the name refuses', () => {
    expect(implied('  - { to: host.example.org, do: deny }\n')).not.toHaveProperty('via');
  });

  it('is absent where no rule names a host, and where one speaks of port 53', () => {
    expect(implied('  - { to: lan, do: deny }\n')).toBeUndefined();
    expect(implied('  - { to: "*:53", do: deny }\n  - { to: host.example.org, do: allow }\n')).toBeUndefined();
  });
});
