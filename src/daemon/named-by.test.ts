import { describe, expect, it } from 'vitest';
import { APP_SERVED } from '../plan/reserved.ts';
import { mergePolicies } from '../policy/merge.ts';
import { parsePolicyFile } from '../policy/parse-file.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { NamedBy } from './named-by.ts';

function policySet(rules: Record<string, string>) {
  const policies = Object.entries(rules).flatMap(([app, text]) => {
    const file = `pointsman: 1\napp: ${app}\nmatch: [{ exec: /usr/bin/${app} }]\nrules:\n${text}`;
    const { policy } = parsePolicyFile(`${app}.yaml`, Buffer.from(file));
    return policy === undefined ? [] : [policy];
  });
  const { apps } = mergePolicies([{ layer: 'administrator', policies }]);
  return { apps, uplinks: [], systemDefault: builtinSystemDefault };
}

describe('NamedBy', () => {
  it('NamedBy gives the names in the rules of the application with that number, and follows changes', () => {
    const names = new NamedBy();
    const before = policySet({
      mail: '  - { to: [imap.example.org, 192.0.2.1], do: allow }\n  - { to: bad.example.org, do: deny }\n',
      other: '  - { to: lan, do: deny }\n',
    });
    const appIds = new Map([
      ['mail', 4],
      ['other', 5],
    ]);
    expect([...names.of(before, appIds, 4)].sort()).toEqual(['bad.example.org', 'imap.example.org']);
    expect([names.of(before, appIds, 5).size, names.of(before, appIds, 0).size]).toEqual([0, 0]);
    expect([...names.of(before, appIds, APP_SERVED)].sort()).toEqual(['bad.example.org', 'imap.example.org']);
    const after = policySet({ mail: '  - { to: smtp.example.org, do: allow }\n' });
    expect([...names.of(after, appIds, 4)]).toEqual(['smtp.example.org']);
    expect(names.of(after, new Map([['mail', 9]]), 4).size).toBe(0);
  });
});
