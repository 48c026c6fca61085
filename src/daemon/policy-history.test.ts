import { describe, expect, it } from 'vitest';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { SettledFiles } from '../store/policy-files.ts';
import { PolicyHistory, SETTLED_MS } from './policy-history.ts';

const at = { file: 'built in', line: 1, column: 1 };
const set = (): PolicySet => ({
  apps: [],
  uplinks: [],
  systemDefault: { otherwise: { do: 'allow', at }, unknown: { do: 'allow', at }, whenAway: 'closed' },
});
const [a, b, c] = [set(), set(), set()];
const files = (): SettledFiles => new Map();
const [filesOfA, filesOfB, filesOfC] = [files(), files(), files()];

describe('PolicyHistory', () => {
  it('PolicyHistory leads back over changes of the last minutes, and not over those that have settled', () => {
    const history = new PolicyHistory();
    history.note(a, filesOfA, 0);
    history.note(b, filesOfB, 1000);
    history.note(c, filesOfC, 2000);
    expect(history.settled(3000)).toBe(filesOfA);
    expect(history.settled(1000 + SETTLED_MS)).toBe(filesOfB);
    expect(history.settled(2000 + SETTLED_MS)).toBe(filesOfC);
  });

  it('PolicyHistory leads back to what somebody said yes to', () => {
    const history = new PolicyHistory();
    history.note(a, filesOfA, 0);
    history.note(b, filesOfB, 1000);
    history.settle();
    history.note(c, filesOfC, 2000);
    expect(history.settled(3000)).toBe(filesOfB);
  });
});
