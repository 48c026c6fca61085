/** Which Debian packages a file belongs to, by dpkg's own word. */
import type { Evidence } from '../api/who.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { findTool, runTool } from '../kernel/run-tool.ts';

const DPKG_QUERY = { name: 'dpkg-query', debianPackage: 'dpkg' };
/** Packages that share a file: directories have thousands, programs one. */
const MAX_PACKAGES = 16;
/** PATH_MAX of linux/limits.h. */
const MAX_PATH_LENGTH = 4096;
/** Since /usr was merged, dpkg may know a file by either path. */
const MERGED = /^\/usr(?=\/(?:s?bin|lib[^/]*)\/)/;

/** None is an answer, too. `path`: absolute. Never rejects. */
export async function packagesOfFile(path: string): Promise<Evidence<readonly string[]>> {
  if (!path.startsWith('/') || path.length > MAX_PATH_LENGTH || path.includes('\0') || path.includes('\n'))
    return { because: 'it has no path of its own' };
  const paths = [path, path.replace(MERGED, '')].filter((each, at, all) => all.indexOf(each) === at);
  try {
    const { stdout } = await runTool(findTool(DPKG_QUERY), ['--search', '--', ...paths.map(literal)]);
    return packagesIn(stdout, paths);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { because: error.code === 'ENOENT' ? 'this machine has no dpkg' : `dpkg was of no help: ${error.message}` };
  }
}

/** dpkg-query takes patterns of the shell (glob(7)), and one that fits everything has an answer of 100 MB. */
export function literal(path: string): string {
  return path.replace(/[\\*?[\]]/g, '\\$&');
}

/** Lines `NAME, NAME:ARCH: /path`; those about diversions begin otherwise. */
export function packagesIn(stdout: string, paths: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const line of stdout.split('\n')) {
    const path = paths.find((each) => line.endsWith(`: ${each}`));
    if (path === undefined || line.startsWith('diversion by ') || line.startsWith('local diversion ')) continue;
    for (const name of line.slice(0, -path.length - 2).split(', ')) found.add(name);
  }
  return [...found].slice(0, MAX_PACKAGES);
}
