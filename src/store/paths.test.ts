import { describe, expect, it } from 'vitest';
import { pathsFor, watchedPaths } from './paths.ts';

describe('pathsFor', () => {
  it('pathsFor names the paths of an installed system', () => {
    expect(pathsFor()).toMatchObject({
      packagePolicies: '/usr/share/pointsman/policies',
      administratorPolicies: '/etc/pointsman/policies',
      socketPath: '/run/pointsman/pointsman.sock',
    });
  });

  it('pathsFor puts every path below the root, as an absolute path', () => {
    const system = Object.entries(pathsFor());
    expect(Object.entries(pathsFor('/tmp/x/'))).toEqual(
      system.map(([key, path]) => [key, path === '/' ? '/tmp/x' : `/tmp/x${path}`]),
    );
    expect(pathsFor('x').stateDir).toBe(`${process.cwd()}/x/var/lib/pointsman`);
  });
});

describe('watchedPaths', () => {
  it('watchedPaths has every place where files of people or packages stand', () => {
    const { directories, files } = watchedPaths(pathsFor('/r'));
    expect(directories.toSorted()).toEqual([
      '/r/etc/pointsman/locks',
      '/r/etc/pointsman/policies',
      '/r/etc/pointsman/profiles',
      '/r/etc/pointsman/uplinks',
      '/r/usr/share/pointsman/policies',
      '/r/var/lib/pointsman/policies',
    ]);
    expect(files).toEqual(['/r/etc/pointsman/default.yaml', '/r/etc/pointsman/packages.yaml']);
  });
});
