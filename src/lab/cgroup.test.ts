import { describe, expect, it } from 'vitest';
import { findCgroup2Mount } from './cgroup.ts';

describe('findCgroup2Mount', () => {
  it('findCgroup2Mount() finds the unified tree of a hybrid system below the version 1 ones', () => {
    const mountinfo = [
      '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu',
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw',
    ].join('\n');
    expect(findCgroup2Mount(mountinfo)).toBe('/sys/fs/cgroup/unified');
  });

  it('findCgroup2Mount() undoes the octal escapes of a mount point', () => {
    expect(findCgroup2Mount('41 31 0:38 / /mnt/two\\040words rw - cgroup2 none rw')).toBe('/mnt/two words');
  });

  it('findCgroup2Mount() finds nothing where only version 1 is mounted', () => {
    expect(findCgroup2Mount('32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup2 rw,cpu\n')).toBeUndefined();
  });
});
