import { describe, expect, it } from 'vitest';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { CgroupLearner, MAX_SEEN_CGROUPS } from './cgroup-learner.ts';
import type { InForce } from './in-force.ts';
import type { VerdictEvent } from './verdict-loop.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };

/** As much of it as is looked at: one application by its cgroup, which does not exist yet. */
function inForce(path: string): InForce {
  const policySet = {
    apps: [{ app: 'a', match: [{ kind: 'cgroup' as const, value: path, at }], rules: [], files: [] }],
    systemDefault: builtinSystemDefault,
    uplinks: [],
  };
  return {
    policySet,
    index: indexApps(policySet),
    snapshot: {},
    machine: { facts: { containers: new Map() }, host: { cgroups: [], queue: 'nft' } },
  } as unknown as InForce;
}

const from = (cgroup: string): VerdictEvent =>
  ({ owner: { kind: 'process', pid: 1, uid: 0, cgroup } }) as unknown as VerdictEvent;

describe('CgroupLearner', () => {
  it('CgroupLearner tells once of a cgroup that came into being, and again only after very many others', () => {
    const state = inForce('/made.slice');
    let told = 0;
    const learner = new CgroupLearner(
      () => state,
      () => {
        told += 1;
      },
    );
    for (const path of ['/made.slice', '/other.slice', '/made.slice']) learner.note(from(path));
    expect(told).toBe(1);
    for (let i = 0; i < MAX_SEEN_CGROUPS; i += 1) learner.note(from(`/n${i}`));
    learner.note(from('/made.slice'));
    expect(told).toBe(2);
  });
});
