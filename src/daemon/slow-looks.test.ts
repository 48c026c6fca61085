import { describe, expect, it } from 'vitest';
import { mergePolicies } from '../policy/merge.ts';
import { parsePolicyFile } from '../policy/parse-file.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { slowLooks } from './slow-looks.ts';

const TEXT = 'pointsman: 1\napp: a\nmatch:\n  - exec: /mnt/far/a\n  - user: far\n  - script: /usr/bin/b\n';
const { policy } = parsePolicyFile('/etc/a.yaml', new TextEncoder().encode(TEXT));
const { apps } = mergePolicies([{ layer: 'administrator', policies: policy === undefined ? [] : [policy] }]);
const policySet = { apps, uplinks: [], systemDefault: builtinSystemDefault };
const isLate = (path: string): boolean => path.startsWith('/mnt/far');

describe('slowLooks()', () => {
  it('slowLooks() says what does not answer, and which entries of policies name something there', () => {
    expect(slowLooks([], isLate, policySet)).toBeUndefined();
    expect(slowLooks([{ place: '/mnt/far', sinceMs: 0 }], isLate, policySet)?.message).toBe(
      '/mnt/far does not answer; /etc/a.yaml:4:5 names /mnt/far/a',
    );
    expect(slowLooks([{ place: '/proc/7', sinceMs: 0 }], () => false, undefined)?.message).toBe(
      '/proc/7 does not answer',
    );
  });
});
