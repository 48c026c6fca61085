import { describe, expect, it } from 'vitest';
import type { ProcessOwner } from '../policy/identity.ts';
import { MAX_SCRIPTS_WEIGHED, ofAnyScript } from './ended-interpreter.ts';

const owner: ProcessOwner = { kind: 'process', pid: 1, uid: 1000, gid: 100, executable: '/usr/bin/python3' };
const scripts = (count: number): ReadonlySet<string> =>
  new Set(Array.from({ length: count }, (_, i) => `/opt/${i}.py`));

describe('ofAnyScript', () => {
  it('ofAnyScript() leaves alone whom it is not about', () => {
    expect(ofAnyScript(owner, { scripts: scripts(2) })).toEqual([owner]);
    const known: ProcessOwner = { ...owner, mayHaveRunScript: true, script: '/opt/0.py' };
    expect(ofAnyScript(known, { scripts: scripts(2) })).toEqual([known]);
  });

  it('ofAnyScript() weighs each script, and the bare interpreter', () => {
    expect(ofAnyScript({ ...owner, mayHaveRunScript: true }, { scripts: scripts(2) })).toEqual([
      owner,
      { ...owner, script: '/opt/0.py' },
      { ...owner, script: '/opt/1.py' },
    ]);
  });

  it('ofAnyScript() knows nobody where there are too many', () => {
    const many = { scripts: scripts(MAX_SCRIPTS_WEIGHED + 1) };
    expect(ofAnyScript({ ...owner, mayHaveRunScript: true }, many)).toMatchObject([{ kind: 'unknown', uid: 1000 }]);
  });
});
