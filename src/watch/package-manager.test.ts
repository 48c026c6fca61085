import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageManager } from './package-manager.ts';

let root: string;

function put(path: string, text = 'x'): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'package-manager-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('packageManager', () => {
  it.each([
    ['dpkg', 'var/lib/dpkg/status'],
    ['rpm', 'usr/lib/sysimage/rpm/rpmdb.sqlite'],
    ['rpm', 'var/lib/rpm/Packages'],
    ['pacman', 'var/lib/pacman/local/ALPM_DB_VERSION'],
    ['opkg', 'usr/lib/opkg/status'],
    ['apk', 'lib/apk/db/installed'],
  ])('packageManager tells %s by %s', (manager, file) => {
    put(file);
    expect(packageManager(root)).toBe(manager);
  });

  it('packageManager takes an empty database for none, and dpkg before others', () => {
    expect(packageManager(root)).toBeUndefined();
    put('var/lib/dpkg/status', '');
    put('var/lib/rpm/rpmdb.sqlite');
    expect(packageManager(root)).toBe('rpm');
    put('var/lib/dpkg/status');
    expect(packageManager(root)).toBe('dpkg');
  });
});
