/**
 * The cgroup2 hierarchy as a tree of directories (kernel docs, admin-guide/cgroup-v2). A cgroup's id, as sockets and nft
 * know it, is the inode number of its directory.
 */
import { opendirSync, readFileSync, statSync } from 'node:fs';
import { throwShortage } from './shortage.ts';

/** More cgroups than this are not looked at: a user may make as many as his limits allow. */
export const MAX_CGROUPS_WALKED = 20_000;
/** Deeper nesting is not followed. The kernel's own limit is far beyond what anyone uses. */
export const MAX_CGROUP_DEPTH = 32;

/** For a container's process no more cgroups below its own are looked at: a runtime makes one or two. */
const MAX_CGROUPS_SEARCHED = 64;

/** `path` is below the cgroup2 root and starts with `/`; `level` counts from the root (`/a/b` is level 2). */
export interface Cgroup {
  readonly path: string;
  readonly id: bigint;
  readonly level: number;
}

/** The tree's reader. */
export interface CgroupTree {
  readonly mountDir: string;
  /** `undefined` where no such cgroup exists. */
  idOfPath(path: string): bigint | undefined;
  /** The path of the cgroup with this id directly below another one; `undefined` where there is none within the bounds. */
  childWithId(path: string, id: bigint): string | undefined;
  /** Walks the tree, so not for the packet path; `undefined` where no cgroup within the bounds has this id. */
  pathOfId(id: bigint): string | undefined;
  /** The root first, parents before children, within MAX_CGROUPS_WALKED and MAX_CGROUP_DEPTH. */
  walk(): Generator<Cgroup>;
}

/** The tree mounted where `mountinfo` says, or `undefined` on a machine without cgroup2. */
export function openCgroupTree(mountinfoPath = '/proc/self/mountinfo'): CgroupTree | undefined {
  const mountDir = cgroup2MountDir(readFileSync(mountinfoPath, 'utf8'));
  return mountDir === undefined ? undefined : cgroupTreeAt(mountDir);
}

/** The tree below a directory that is known to be the mount point. */
export function cgroupTreeAt(mountDir: string): CgroupTree {
  return {
    mountDir,
    idOfPath: (path) => inodeOf(directoryOf(mountDir, path)),
    childWithId(path, id) {
      for (const name of childNames(directoryOf(mountDir, path), MAX_CGROUPS_WALKED)) {
        const child = childPath(path, name);
        if (inodeOf(directoryOf(mountDir, child)) === id) return child;
      }
      return undefined;
    },
    pathOfId(id) {
      for (const cgroup of walk(mountDir)) if (cgroup.id === id) return cgroup.path;
      return undefined;
    },
    walk: () => walk(mountDir),
  };
}

/**
 * A process in this cgroup or one below it, those nearest to it first; undefined where there is none that is visible here, or
 * the cgroup has gone.
 */
export function firstProcessIn({ mountDir }: Pick<CgroupTree, 'mountDir'>, path: string): number | undefined {
  const pending = [directoryOf(mountDir, path)];
  for (let looked = 0; looked < MAX_CGROUPS_SEARCHED; looked += 1) {
    const dir = pending.shift();
    if (dir === undefined) return undefined;
    const pid = firstProcess(dir);
    if (pid !== undefined) return pid;
    for (const name of childNames(dir, MAX_CGROUPS_SEARCHED - looked - pending.length)) pending.push(`${dir}/${name}`);
  }
  return undefined;
}

/** Processes of another pid namespace are listed as 0. */
function firstProcess(dir: string): number | undefined {
  try {
    const pids = readFileSync(`${dir}/cgroup.procs`, 'utf8').split('\n').map(Number);
    return pids.find((pid) => pid > 0);
  } catch (error) {
    throwShortage(error, 'read', dir);
    // Removed, or a threaded cgroup, which lists no processes (EOPNOTSUPP).
    return undefined;
  }
}

/**
 * The mount point of cgroup2 in a mountinfo text (proc(5)): one that shows the hierarchy from its root where there are
 * several. Octal escapes (`\040`) are undone.
 */
export function cgroup2MountDir(mountinfo: string): string | undefined {
  let partial: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [fields = '', filesystem = ''] = line.split(' - ');
    if (!filesystem.startsWith('cgroup2 ')) continue;
    const [, , , root, mountPoint] = fields.split(' ');
    if (mountPoint === undefined) continue;
    if (root === '/') return unescapeOctal(mountPoint);
    partial ??= unescapeOctal(mountPoint);
  }
  return partial;
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function directoryOf(mountDir: string, path: string): string {
  return path === '/' ? mountDir : `${mountDir}${path}`;
}

function inodeOf(dir: string): bigint | undefined {
  try {
    return statSync(dir, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

export const childPath = (path: string, name: string): string => (path === '/' ? `/${name}` : `${path}/${name}`);

function* walk(mountDir: string): Generator<Cgroup> {
  const pending: { path: string; level: number }[] = [{ path: '/', level: 0 }];
  let walked = 0;
  for (let next = pending.shift(); next !== undefined && walked < MAX_CGROUPS_WALKED; next = pending.shift()) {
    const { path, level } = next;
    const id = inodeOf(directoryOf(mountDir, path));
    if (id === undefined) continue;
    walked++;
    yield { path, id, level };
    if (level === MAX_CGROUP_DEPTH) continue;
    for (const name of childNames(directoryOf(mountDir, path), MAX_CGROUPS_WALKED - walked - pending.length)) {
      pending.push({ path: childPath(path, name), level: level + 1 });
    }
  }
}

/** Names of the cgroups directly below a cgroup's directory, sorted: `limit` of them at most, and as many as can be read. */
export function childNames(dir: string, limit: number): string[] {
  const names: string[] = [];
  if (limit <= 0) return names;
  try {
    const handle = opendirSync(dir);
    try {
      for (let entry = handle.readSync(); entry !== null && names.length < limit; entry = handle.readSync()) {
        if (entry.isDirectory()) names.push(entry.name);
      }
    } finally {
      handle.closeSync();
    }
  } catch (error) {
    throwShortage(error, 'list', dir);
    // Removed while it was read: what was seen of it is all there is.
  }
  return names.sort();
}
