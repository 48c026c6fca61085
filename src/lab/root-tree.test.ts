import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { labFiles } from './lab-state.ts';
import { labNsswitch, writeResolverFiles } from './root-tree.ts';

describe('labNsswitch', () => {
  it('labNsswitch() replaces the hosts line alone', () => {
    const host = 'passwd: files systemd\n hosts:  files mymachines resolve [!UNAVAIL=return] dns\nnetworks: files\n';
    expect(labNsswitch(host)).toBe('passwd: files systemd\nnetworks: files\nhosts: files dns\n');
  });

  it('labNsswitch() makes a file of its own where the host has none', () => {
    expect(labNsswitch('')).toBe('hosts: files dns\n');
  });
});

describe('writeResolverFiles', () => {
  it('writeResolverFiles() makes files that programs of every user can read, whatever the umask is', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'pml-'));
    const umask = process.umask(0o077);
    try {
      await writeResolverFiles(stateDir);
      const { resolvConf, nsswitchConf } = labFiles(stateDir);
      for (const file of [resolvConf, nsswitchConf]) expect(statSync(file).mode & 0o777, file).toBe(0o644);
    } finally {
      process.umask(umask);
      rmSync(stateDir, { recursive: true });
    }
  });
});
