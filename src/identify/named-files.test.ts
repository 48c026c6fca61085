import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { LOOK_PAUSE_FACTOR, MAX_PATHS_AT_ONCE, MIN_LOOK_PAUSE_MS, NamedFiles } from './named-files.ts';
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
  const names = { executables: () => Object.keys(inodes), placeOf: (path: string) => path } as unknown as PolicyNames;
  return { state, files, withInode: (inode: bigint) => files.withInode(inode, names) };
}

describe('NamedFiles', () => {
  it('NamedFiles finds all paths of an inode number in the order of the policies, and none of files that are not there', () => {
    const { withInode, state } = world({ '/z': 5n, '/a': 5n, '/b': 6n, '/gone': 7n });
    delete state.inodes['/gone'];
    expect(withInode(5n)).toEqual({ paths: ['/z', '/a'], isNow: true, hasNamesake: false });
    expect(withInode(7n).paths).toEqual([]);
  });

  it('NamedFiles looks once for many questions, says so, and looks again after its pause', () => {
    const { withInode, state } = world({ '/a': 5n });
    withInode(5n);
    state.inodes = { '/a': 6n };
    state.nowMs += MIN_LOOK_PAUSE_MS - 1;
    expect([withInode(5n), withInode(6n)]).toEqual([
      { paths: ['/a'], isNow: false, hasNamesake: false },
      { paths: [], isNow: false, hasNamesake: false },
    ]);
    expect(state.looks).toBe(1);
    state.nowMs += 1;
    expect([withInode(6n), withInode(5n)]).toEqual([
      { paths: ['/a'], isNow: true, hasNamesake: false },
      { paths: [], isNow: false, hasNamesake: false },
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
    const names = {
      executables: () => ['/bin/a', '/opt/a', '/b'],
      placeOf: (path: string) => path,
    } as unknown as PolicyNames;
    files.withInode(5n, names);
    expect(files.withInode(9n, names, { called: ['/elsewhere/a'] })).toEqual({
      paths: ['/bin/a', '/opt/a'],
      isNow: false,
      hasNamesake: true,
    });
    expect(files.withInode(7n, names, { called: ['/elsewhere/c'] }).paths).toEqual(['/b']);
    state.nowMs += MIN_LOOK_PAUSE_MS;
    expect(files.withInode(9n, names, { called: ['/elsewhere/a'] })).toEqual({
      paths: [],
      isNow: true,
      hasNamesake: true,
    });
  });

  it('NamedFiles looks at once for what has other names, but where too many paths are named', () => {
    const { files, state, withInode } = world({ '/a': 5n });
    const names = { executables: () => ['/a'], placeOf: (path: string) => path } as unknown as PolicyNames;
    withInode(5n);
    state.inodes = { '/a': 6n };
    expect(withInode(6n)).toMatchObject({ paths: [], isNow: false });
    expect(files.withInode(6n, names, { hasLinks: true })).toMatchObject({ paths: ['/a'], isNow: true });
    const many = Object.fromEntries(Array.from({ length: MAX_PATHS_AT_ONCE + 1 }, (_, i) => [`/${i}`, BigInt(i)]));
    const slow = world(many);
    slow.withInode(5n);
    const all = { executables: () => Object.keys(many), placeOf: (path: string) => path } as unknown as PolicyNames;
    expect(slow.files.withInode(5n, all, { hasLinks: true }).isNow).toBe(false);
  });

  it('NamedFiles looks where a link leads now, and knows the file by the name of the link', () => {
    const { files } = world({ '/opt/current/app': 5n });
    const names = {
      executables: () => ['/opt/v1/tool'],
      placeOf: () => '/opt/current/app',
    } as unknown as PolicyNames;
    expect(files.withInode(5n, names)).toMatchObject({ paths: ['/opt/v1/tool'] });
    for (const called of ['app', '/x/app', 'tool'])
      expect(files.withInode(6n, names, { called: [called] })).toMatchObject({ hasNamesake: true });
  });

  it('NamedFiles looks at once when other files are named', () => {
    const { withInode, files, state } = world({ '/a': 5n });
    withInode(5n);
    state.inodes = { '/a': 6n };
    files.forget();
    expect(withInode(6n)).toEqual({ paths: ['/a'], isNow: true, hasNamesake: false });
  });
});
