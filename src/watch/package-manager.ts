/** Which package manager a machine has: told by its database, for tools of others may be installed as well. */
import { join } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';
import { isRegularFile } from '../kernel/file-stat.ts';

export type PackageManager = 'dpkg' | 'rpm' | 'pacman' | 'opkg' | 'apk';

/** Files of databases, below the root. The first one that is there and not empty tells. */
const DATABASES: readonly (readonly [PackageManager, string])[] = [
  ['dpkg', 'var/lib/dpkg/status'],
  ['rpm', 'var/lib/rpm/rpmdb.sqlite'],
  ['rpm', 'var/lib/rpm/Packages.db'],
  ['rpm', 'var/lib/rpm/Packages'],
  ['rpm', 'usr/lib/sysimage/rpm/rpmdb.sqlite'],
  ['rpm', 'usr/lib/sysimage/rpm/Packages.db'],
  ['pacman', 'var/lib/pacman/local/ALPM_DB_VERSION'],
  ['opkg', 'usr/lib/opkg/status'],
  ['opkg', 'var/lib/opkg/status'],
  ['apk', 'lib/apk/db/installed'],
  ['apk', 'usr/lib/apk/db/installed'],
];

/** `undefined`: none that is known. Never throws. */
export function packageManager(root = '/'): PackageManager | undefined {
  return DATABASES.find(([, file]) => isFilled(join(root, file)))?.[0];
}

function isFilled(path: string): boolean {
  try {
    const stat = fileLooks().stat(path);
    return stat !== undefined && isRegularFile(stat) && stat.size > 0n;
  } catch {
    return false;
  }
}
