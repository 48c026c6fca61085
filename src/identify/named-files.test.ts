import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { LOOK_PAUSE_FACTOR, MIN_LOOK_PAUSE_MS, NamedFiles } from './named-files.ts';
import type { PolicyNames } from './policy-names.ts';

/** Paths and their inodes; each look at a path may take its time. */
function world(inodes: Record<string, bigint>, lookMs = 0) {
  const state = { nowMs: 1000, looks: 0, inodes };
  const files = new NamedFiles(
    () => state.nowMs,
    (path): FileIdentity | undefined => {
      state.looks += 1;
      state.nowMs += lookMs;
      const inode = state.inodes[path];
      return inode === undefined ? undefined : { device: 1n, inode, uid: 0n, birthNs: 0n, modifiedNs: 0n };
    },
  );
  const names = { executables: () => Object.keys(inodes) } as unknown as PolicyNames;
  return { state, files, withInode: (inode: bigint) => files.withInode(inode, names) };
}

describe('NamedFiles', () => {
  it('NamedFiles finds all paths of an inode number in the order of the policies, and none of files that are not there', () => {
    const { withInode, state } = world({ '/z': 5n, '/a': 5n, '/b': 6n, '/gone': 7n });
    delete state.inodes['/gone'];
    expect(withInode(5n)).toEqual({ paths: ['/z', '/a'], isNow: true });
    expect(withInode(7n).paths).toEqual([]);
  });

  it('NamedFiles looks once for many questions, says so, and looks again after its pause', () => {
    const { withInode, state } = world({ '/a': 5n });
    withInode(5n);
    state.inodes = { '/a': 6n };
    state.nowMs += MIN_LOOK_PAUSE_MS - 1;
    expect([withInode(5n), withInode(6n)]).toEqual([
      { paths: ['/a'], isNow: false },
      { paths: [], isNow: false },
    ]);
    expect(state.looks).toBe(1);
    state.nowMs += 1;
    expect([withInode(6n), withInode(5n)]).toEqual([
      { paths: ['/a'], isNow: true },
      { paths: [], isNow: false },
    ]);
  });

  it('NamedFiles pauses for longer where looking takes long', () => {
    const { withInode, state } = world({ '/a': 5n, '/b': 6n }, 500);
    withInode(5n);
    state.nowMs += 2 * 500 * LOOK_PAUSE_FACTOR - 1;
    expect(withInode(5n).isNow).toBe(false);
    state.nowMs += 1;
    expect(withInode(5n).isNow).toBe(true);
  });

  it('NamedFiles has those looked at again between two looks that are called as the file in question', () => {
    const { files, state } = world({ '/bin/a': 5n, '/opt/a': 6n, '/b': 7n });
    const names = { executables: () => ['/bin/a', '/opt/a', '/b'] } as unknown as PolicyNames;
    files.withInode(5n, names);
    expect(files.withInode(9n, names, '/elsewhere/a')).toEqual({ paths: ['/bin/a', '/opt/a'], isNow: false });
    expect(files.withInode(7n, names, '/elsewhere/c').paths).toEqual(['/b']);
    state.nowMs += MIN_LOOK_PAUSE_MS;
    expect(files.withInode(9n, names, '/elsewhere/a')).toEqual({ paths: [], isNow: true });
  });

  it('NamedFiles looks at once when other files are named', () => {
    const { withInode, files, state } = world({ '/a': 5n });
    withInode(5n);
    state.inodes = { '/a': 6n };
    files.forget();
    expect(withInode(6n)).toEqual({ paths: ['/a'], isNow: true });
  });
});
