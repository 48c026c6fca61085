/** Debian's stock kernel, fetched by apt and unpacked into a cache: nothing is installed. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { runHostTool } from './host-tool.ts';
import { VmError } from './vm-error.ts';

const META_PACKAGE = 'linux-image-amd64';
const NO_PACKAGE = `apt knows no kernel behind ${META_PACKAGE}: run apt-get update (on Debian, amd64)`;
const APT_CACHE_TIMEOUT_MS = 30_000;
/** About 70 MB. */
const DOWNLOAD_TIMEOUT_MS = 600_000;
const UNPACK_TIMEOUT_MS = 180_000;
/** Older than this, another kernel or an unfinished download in the cache is nobody's any more. */
const STALE_AFTER_MS = 24 * 60 * 60 * 1000;

/** `baseDir` is what modprobe calls the root: it holds `lib/modules/VERSION`. */
export interface DebianKernel {
  readonly version: string;
  readonly imagePath: string;
  readonly baseDir: string;
  readonly modulesDir: string;
}

/** `$XDG_CACHE_HOME/pointsman/vm`, by default in the home directory, which is known without HOME too. */
export function kernelCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const cacheHome = env.XDG_CACHE_HOME;
  // The base directory specification has relative paths ignored.
  if (cacheHome?.startsWith('/')) return join(cacheHome, 'pointsman/vm');
  return join(env.HOME?.startsWith('/') ? join(env.HOME, '.cache') : accountCacheDir(), 'pointsman/vm');
}

function accountCacheDir(): string {
  try {
    return join(userInfo().homedir, '.cache');
  } catch {
    // An id without an account, as in some containers.
    return tmpdir();
  }
}

/**
 * The kernel that `linux-image-amd64` stands for in apt's lists, from the cache where it is there already. Safe to call
 * from several processes. Throws VmError.
 */
export async function obtainKernel(cacheDir: string = kernelCacheDir()): Promise<DebianKernel> {
  const packageName = parseKernelPackage(await aptCacheDepends());
  const baseDir = join(cacheDir, packageName);
  if (!existsSync(baseDir)) {
    await mkdir(cacheDir, { recursive: true });
    await removeStale(cacheDir);
    await downloadInto(cacheDir, packageName);
  }
  return describeKernel(baseDir);
}

async function aptCacheDepends(): Promise<string> {
  const failure = 'no-kernel-package';
  try {
    return await runHostTool('apt-cache', {
      args: ['depends', META_PACKAGE],
      timeoutMs: APT_CACHE_TIMEOUT_MS,
      failure,
    });
  } catch (error) {
    if (!(error instanceof VmError) || error.code !== failure) throw error;
    throw new VmError(failure, `${NO_PACKAGE}\n${error.message}`, { cause: error });
  }
}

/** From the output of `apt-cache depends linux-image-amd64`. Throws VmError `no-kernel-package`. */
export function parseKernelPackage(depends: string): string {
  const name = /^\s*Depends: (linux-image-[a-z0-9.+-]+)$/m.exec(depends)?.[1];
  if (name !== undefined) return name;
  throw new VmError('no-kernel-package', NO_PACKAGE);
}

/** Unpacked aside and renamed, so that a directory with the package's name is always whole. */
async function downloadInto(cacheDir: string, packageName: string): Promise<void> {
  const asideDir = await mkdtemp(join(cacheDir, 'download-'));
  try {
    await download(asideDir, packageName);
    const rootDir = join(asideDir, 'root');
    await unpack(asideDir, rootDir);
    await rename(rootDir, join(cacheDir, packageName)).catch((error: NodeJS.ErrnoException) => {
      // Another run was faster; its copy is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(asideDir, { recursive: true, force: true });
  }
}

async function download(asideDir: string, packageName: string): Promise<void> {
  try {
    const args = ['-q', 'download', packageName];
    await runHostTool('apt-get', { args, timeoutMs: DOWNLOAD_TIMEOUT_MS, failure: 'download-failed', cwd: asideDir });
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const advice = 'Is there a network? Are the package lists fresh (apt-get update)?';
    throw new VmError(error.code, `cannot download Debian's kernel. ${advice}\n${error.message}`, { cause: error });
  }
}

async function unpack(asideDir: string, rootDir: string): Promise<void> {
  const packageFile = (await readdir(asideDir)).find((name) => name.endsWith('.deb'));
  if (packageFile === undefined) throw new VmError('download-failed', 'apt-get download left no package file');
  const run = { timeoutMs: UNPACK_TIMEOUT_MS, failure: 'unpack-failed' } as const;
  await runHostTool('dpkg-deb', { ...run, args: ['-x', join(asideDir, packageFile), rootDir] });
  const { version } = await describeKernel(rootDir);
  // Packages leave this to their installation scripts.
  await runHostTool('depmod', { ...run, args: ['-b', rootDir, version] });
}

async function describeKernel(baseDir: string): Promise<DebianKernel> {
  const versions = await readdir(join(baseDir, 'lib/modules'));
  const [version] = versions;
  if (version === undefined) throw new VmError('unpack-failed', `${baseDir} holds no kernel; remove it and try again`);
  const imagePath = join(baseDir, 'boot', `vmlinuz-${version}`);
  return { version, imagePath, baseDir, modulesDir: join(baseDir, 'lib/modules', version) };
}

async function removeStale(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const path = join(cacheDir, name);
    const { ctimeMs } = await stat(path);
    if (Date.now() - ctimeMs > STALE_AFTER_MS) await rm(path, { recursive: true, force: true });
  }
}
