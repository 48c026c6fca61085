/** The BPF file system in which pins live, where a machine has one, or where one can be mounted that outlives the daemon. */
import { readlinkSync, statfsSync } from 'node:fs';
import { KernelError } from '../kernel-error.ts';
import { findTool, runTool } from '../run-tool.ts';

export const BPF_FILE_SYSTEM = '/sys/fs/bpf';
/** linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;
const MOUNT = { name: 'mount', debianPackage: 'mount' };
const NSENTER = { name: 'nsenter', debianPackage: 'util-linux' };
const INIT_MOUNTS = '/proc/1/ns/mnt';

/** Mounted there, in the mount namespace of this process. */
export function hasBpfFileSystem(): boolean {
  try {
    return statfsSync(BPF_FILE_SYSTEM).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/**
 * `undefined` where there is one; or why there is none that would outlive this process. A mount namespace of one's own goes with
 * the last process in it, so the mount is made where process 1 sees it, or else whoever started this process.
 */
export async function ensureBpfFileSystem(): Promise<string | undefined> {
  if (hasBpfFileSystem()) return undefined;
  try {
    const mount = ['-t', 'bpf', '-o', 'mode=0700', 'bpf', BPF_FILE_SYSTEM];
    const outer = mountsOfOthers();
    if (outer === 'ours') await run(MOUNT, mount);
    else if (outer !== undefined) await run(NSENTER, [`--mount=${outer}`, findTool(MOUNT), ...mount]);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return hasBpfFileSystem()
      ? undefined
      : `no BPF file system could be mounted at ${BPF_FILE_SYSTEM}: ${error.message}`;
  }
  return hasBpfFileSystem()
    ? undefined
    : `no BPF file system is mounted at ${BPF_FILE_SYSTEM}, and this mount namespace would take one with it when it ends`;
}

/** Where a mount outlives this process: in its own namespace, in that of another, or nowhere that is known. */
function mountsOfOthers(): string | undefined {
  const own = mountsOf('/proc/self/ns/mnt');
  const others = [INIT_MOUNTS, `/proc/${process.ppid}/ns/mnt`];
  const outer = others.find((path) => mountsOf(path) !== undefined);
  if (outer === undefined) return undefined;
  return mountsOf(outer) === own ? 'ours' : outer;
}

function mountsOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

async function run(
  tool: { readonly name: string; readonly debianPackage: string },
  args: readonly string[],
): Promise<void> {
  const { status, stderr } = await runTool(findTool(tool), args);
  if (status !== 0) throw new KernelError(tool.name, 0, '', BPF_FILE_SYSTEM, stderr.trim() || `exit status ${status}`);
}
