/** What /proc/self/mountinfo says of paths and devices: reading that waits for no file system. Pure. */

/** `undefined` where that is the root, or cannot be told. */
export function mountPointOf(mountinfo: string, path: string): string | undefined {
  let found = '/';
  for (const line of mountinfo.split('\n')) {
    const point = unescapeOctal(line.split(' ', 5)[4] ?? '');
    if (point.length > found.length && (path === point || path.startsWith(`${point}/`))) found = point;
  }
  return found === '/' ? undefined : found;
}

/** seq_path escapes blanks, tabs, line ends and backslashes. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** File systems whose answers come from elsewhere, by the starts of their names: from a server, or from a program (FUSE). */
const ANSWERED_ELSEWHERE =
  /^(?:fuse|nfs|cifs|smb|9p|virtiofs|afs|ceph|autofs|lustre|gluster|ocfs2|gfs2|orangefs|coda|ncp|davfs|pvfs|beegfs|gpfs|wslfs|vboxsf|prl_fs|vmhgfs)/;

/** Mounts whose answers come from elsewhere: their devices (`MAJOR:MINOR`), and where they are. */
export interface MountsElsewhere {
  readonly devices: ReadonlySet<string>;
  readonly points: ReadonlySet<string>;
}

export function mountsElsewhere(mountinfo: string): MountsElsewhere {
  const devices = new Set<string>();
  const points = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const [, , device, , point] = line.split(' ', 5);
    const type = / - ([^ ]*) /.exec(line)?.[1];
    if (device === undefined || point === undefined || type === undefined || !ANSWERED_ELSEWHERE.test(type)) continue;
    devices.add(device);
    points.add(unescapeOctal(point));
  }
  return { devices, points };
}
