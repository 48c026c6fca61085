/** The lab's own branch of the cgroup2 tree, for policies that name a cgroup. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { LabError } from './lab-error.ts';

const CGROUP_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Where cgroup2 is mounted, from the text of /proc/PID/mountinfo (proc(5)); hybrid systems have it elsewhere than
 * /sys/fs/cgroup. Undefined where it is not mounted.
 */
export function findCgroup2Mount(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    if (after.split(' ')[0] !== 'cgroup2') continue;
    const mountPoint = before.split(' ')[4];
    if (mountPoint !== undefined) return unescapeOctal(mountPoint);
  }
  return undefined;
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The path a policy's `cgroup:` names, below the cgroup2 root. */
export function labCgroupPath(id: string, name: string): string {
  return `/pointsman-lab-${id}/${name}`;
}

/** Makes the cgroup if need be and returns its directory. */
export function makeLabCgroup(id: string, name: string): string {
  if (!CGROUP_NAME.test(name)) {
    throw new LabError('no-cgroup2', `a lab cgroup's name is made of letters, digits, ".", "_" and "-": ${name}`);
  }
  const mountPoint = cgroup2Mount();
  if (mountPoint === undefined) throw new LabError('no-cgroup2', 'no cgroup2 file system is mounted on this machine');
  const dir = `${mountPoint}${labCgroupPath(id, name)}`;
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** Removes an empty cgroup. False where it still holds processes. */
export function removeCgroup(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Pids in any of the lab's cgroups. */
export function labCgroupPids(id: string): readonly number[] {
  return labCgroupDirs(id).flatMap((dir) => readPids(`${dir}/cgroup.procs`));
}

/** Removes all of the lab's cgroups, innermost first. True if nothing is left. */
export function removeLabCgroups(id: string): boolean {
  return labCgroupDirs(id)
    .reverse()
    .map(removeCgroup)
    .every((removed) => removed);
}

function readPids(path: string): readonly number[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Outermost first. */
function labCgroupDirs(id: string): string[] {
  const mountPoint = cgroup2Mount();
  if (mountPoint === undefined) return [];
  const top = `${mountPoint}/pointsman-lab-${id}`;
  try {
    const below = readdirSync(top, { withFileTypes: true, recursive: true }).filter((entry) => entry.isDirectory());
    return [top, ...below.map((entry) => `${entry.parentPath}/${entry.name}`)].sort();
  } catch {
    return [];
  }
}

function cgroup2Mount(): string | undefined {
  return findCgroup2Mount(readFileSync('/proc/self/mountinfo', 'utf8'));
}
