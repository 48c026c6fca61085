import { describe, expect, it } from 'vitest';
import { labNsswitch } from './root-tree.ts';

describe('labNsswitch', () => {
  it('labNsswitch() replaces the hosts line alone', () => {
    const host = 'passwd: files systemd\n hosts:  files mymachines resolve [!UNAVAIL=return] dns\nnetworks: files\n';
    expect(labNsswitch(host)).toBe('passwd: files systemd\nnetworks: files\nhosts: files dns\n');
  });

  it('labNsswitch() makes a file of its own where the host has none', () => {
    expect(labNsswitch('')).toBe('hosts: files dns\n');
  });
});
