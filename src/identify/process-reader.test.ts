import { describe, expect, it } from 'vitest';
import type { CgroupTree } from '../kernel/cgroup.ts';
import { openProc } from '../kernel/proc.ts';
import { MISSED_CGROUP_MS, ProcessReader } from './process-reader.ts';

function world() {
  const state = { nowMs: 0, walks: 0, ids: new Map([['/now', 1n]]) };
  const cgroups: CgroupTree = {
    mountDir: '/cgroup',
    idOfPath: (path) => state.ids.get(path),
    pathOfId(id) {
      state.walks++;
      return [...state.ids].find(([, other]) => other === id)?.[0];
    },
    *walk() {},
  };
  const proc = { ...openProc('/nowhere'), cgroup: () => '/now' };
  return { state, reader: new ProcessReader(proc, cgroups, () => state.nowMs) };
}

describe('ProcessReader', () => {
  it('ProcessReader.cgroup is the process’s own where the socket’s is gone', () => {
    const { reader } = world();
    expect(reader.cgroup(10, 7n)).toBe('/now');
    expect(reader.cgroupOfSocket(7n)).toBeUndefined();
  });

  it('ProcessReader.cgroup finds one that was not there a while before, without a walk for every packet', () => {
    const { state, reader } = world();
    for (let i = 0; i < 10; i++) reader.cgroup(10, 7n);
    expect(state.walks).toBe(1);
    state.ids.set('/made', 7n);
    state.nowMs += MISSED_CGROUP_MS;
    expect(reader.cgroup(10, 7n)).toBe('/made');
    expect(reader.cgroupOfSocket(7n)).toBe('/made');
    expect(state.walks).toBe(2);
  });
});
