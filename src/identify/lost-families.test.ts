import { describe, expect, it } from 'vitest';
import type { SingleOwner } from '../policy/identity.ts';
import { MAX_FAMILIES_WEIGHED, ofAnyFamily } from './lost-families.ts';

const owner: SingleOwner = {
  kind: 'process',
  pid: 7,
  uid: 1000,
  gid: 100,
  cgroup: '/a',
  executable: '/usr/bin/python3',
};
const families = (count: number) => ({ families: () => Array.from({ length: count }, (_, i) => `app${i}`) });

describe('ofAnyFamily()', () => {
  it('ofAnyFamily() makes of a process whose parent nobody saw a candidate for each family, and for none', () => {
    expect(ofAnyFamily(owner, families(2))).toEqual([
      owner,
      { ...owner, childOf: 'app0' },
      { ...owner, childOf: 'app1' },
    ]);
    expect(ofAnyFamily(owner, families(0))).toEqual([owner]);
  });

  it('ofAnyFamily() leaves those alone of whom it is known', () => {
    const told: SingleOwner[] = [
      { ...owner, childOf: 'app9' },
      { kind: 'kernel', sender: 'other' },
      { kind: 'unknown', because: 'it has ended', uid: 5 },
    ];
    for (const one of told) expect(ofAnyFamily(one, families(2))).toEqual([one]);
  });

  it('ofAnyFamily() knows nobody where there are too many to weigh', () => {
    expect(ofAnyFamily(owner, families(MAX_FAMILIES_WEIGHED))).toHaveLength(MAX_FAMILIES_WEIGHED + 1);
    const [only, ...others] = ofAnyFamily(owner, families(MAX_FAMILIES_WEIGHED + 1));
    expect(only).toMatchObject({ kind: 'unknown', uid: 1000, gid: 100, cgroup: '/a' });
    expect(others).toEqual([]);
  });
});
