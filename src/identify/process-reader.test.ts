import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CgroupTree } from '../kernel/cgroup.ts';
import { openProc } from '../kernel/proc.ts';
import { MISSED_CGROUP_MS, ProcessReader } from './process-reader.ts';

function world() {
  const state = { nowMs: 0, walks: 0, looks: 0, ids: new Map([['/now', 1n]]) };
  const cgroups: CgroupTree = {
    mountDir: '/cgroup',
    idOfPath: (path) => state.ids.get(path),
    childWithId(above, id) {
      state.looks++;
      return [...state.ids].find(([path, other]) => other === id && posix.dirname(path) === above)?.[0];
    },
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

  it('ProcessReader.cgroupWithIds goes down to the cgroup, or as far as there is anything, without a walk', () => {
    const { state, reader } = world();
    state.ids.set('/now/inner', 2n);
    expect(reader.cgroupWithIds([1n, 2n])).toEqual({ path: '/now/inner', isGone: false });
    expect(reader.cgroupWithIds([1n, 3n])).toEqual({ path: '/now', isGone: true });
    expect(reader.cgroupWithIds([4n, 3n])).toEqual({ path: '/', isGone: true });
    expect(reader.cgroupWithIds([])).toEqual({ path: '/', isGone: false });
    expect(reader.cgroupOfSocket(2n)).toBe('/now/inner');
    const { looks } = state;
    reader.cgroupWithIds([1n, 3n]);
    expect(state).toMatchObject({ walks: 0, looks });
    state.nowMs += MISSED_CGROUP_MS;
    reader.cgroupWithIds([1n, 3n]);
    expect(state.looks).toBe(looks + 1);
  });
});
