/** A Debian package, fetched by apt and unpacked into a cache: nothing of it is installed or started. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { kernelCacheDir } from '../../vm/debian-kernel.ts';
import { runHostTool } from '../../vm/host-tool.ts';

const DOWNLOAD_TIMEOUT_MS = 120_000;
const UNPACK_TIMEOUT_MS = 60_000;

/** The directory that holds its files. Safe to call from several processes. Throws VmError. */
export async function unpackedPackage(name: string): Promise<string> {
  const cacheDir = join(dirname(kernelCacheDir()), 'packages');
  const dir = join(cacheDir, name);
  if (existsSync(dir)) return dir;
  await mkdir(cacheDir, { recursive: true });
  const asideDir = await mkdtemp(join(cacheDir, 'download-'));
  try {
    const download = { args: ['-q', 'download', name], timeoutMs: DOWNLOAD_TIMEOUT_MS, cwd: asideDir } as const;
    await runHostTool('apt-get', { ...download, failure: 'download-failed' });
    const file = (await readdir(asideDir)).find((entry) => entry.endsWith('.deb')) ?? 'no package';
    const rootDir = join(asideDir, 'root');
    const args = ['-x', join(asideDir, file), rootDir];
    await runHostTool('dpkg-deb', { args, timeoutMs: UNPACK_TIMEOUT_MS, failure: 'unpack-failed' });
    await rename(rootDir, dir).catch((error: NodeJS.ErrnoException) => {
      // Another run was faster; its copy is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(asideDir, { recursive: true, force: true });
  }
  return dir;
}
