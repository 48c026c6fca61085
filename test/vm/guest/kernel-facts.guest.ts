import { release } from 'node:os';
import { describe, expect, it } from 'vitest';
import { openCgroupTree } from '../../../src/kernel/cgroup.ts';
import { LinuxKernel } from '../../../src/kernel/linux-kernel.ts';

describe("Debian's stock kernel", () => {
  it('release() is that of a Debian kernel, not of the machine that the guest runs on', () => {
    expect(release()).toMatch(/^\d+\.\d+\.\d+-\d+-amd64$/);
  });

  it('Nft.supports() says that there is a queue statement', async () => {
    using kernel = LinuxKernel.open();
    expect(await kernel.nft.supports('queue')).toBe(true);
  });

  it('openCgroupTree() finds the cgroup2 tree where systemd mounts it', () => {
    expect(openCgroupTree()?.mountDir).toBe('/sys/fs/cgroup');
  });
});
