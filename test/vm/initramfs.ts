/** The guest's first file system: busybox, the modules that reach the host's root, and guest/init.sh. */
import { chmod, copyFile, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DebianKernel } from './debian-kernel.ts';
import { findHostTool, runHostTool } from './host-tool.ts';

const INIT = fileURLToPath(new URL('guest/init.sh', import.meta.url));
const MODULES: readonly string[] = ['virtio_pci', '9p', '9pnet_virtio', 'overlay'];
const EMPTY_DIRS: readonly string[] = ['proc', 'sys', 'dev', 'lower', 'upper', 'root'];
const TOOL_TIMEOUT_MS = 60_000;
const RUN = { timeoutMs: TOOL_TIMEOUT_MS, failure: 'boot-failed' } as const;

/** Makes `DIR/initramfs.cpio` (format newc, uncompressed) and returns its path. Throws VmError. */
export async function buildInitramfs(kernel: DebianKernel, dir: string): Promise<string> {
  const rootDir = join(dir, 'initramfs');
  for (const name of ['bin', 'modules', ...EMPTY_DIRS]) await mkdir(join(rootDir, name), { recursive: true });
  await copyFile(findHostTool('busybox'), join(rootDir, 'bin/busybox'));
  await copyFile(INIT, join(rootDir, 'init'));
  await chmod(join(rootDir, 'init'), 0o755);
  for (const [index, path] of (await moduleFiles(kernel)).entries()) {
    // init.sh inserts them in the order of their names.
    await copyFile(path, join(rootDir, 'modules', `${String(index).padStart(2, '0')}-${basename(path)}`));
  }
  const archivePath = join(dir, 'initramfs.cpio');
  const names = await readdir(rootDir, { recursive: true });
  const args = ['--create', '--quiet', '--format=newc', '--owner=+0:+0', '-F', archivePath];
  await runHostTool('cpio', { ...RUN, args, cwd: rootDir, input: `${names.sort().join('\n')}\n` });
  return archivePath;
}

/** In the order in which they must be inserted. */
async function moduleFiles({ baseDir, version }: DebianKernel): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const name of MODULES) {
    const args = ['-d', baseDir, '-S', version, '--show-depends', name];
    // "insmod PATH" lines, dependencies first, and "builtin NAME" for what needs none.
    const lines = (await runHostTool('modprobe', { ...RUN, args })).split('\n');
    paths.push(...lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []));
  }
  return [...new Set(paths)];
}
