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

/**
 * File systems that answer by themselves, by their names in mountinfo: on a disk or in memory of this machine, or made by its kernel. Of all others, those
 * that nobody has heard of yet among them, a server or a program may answer, and may not do so.
 */
const ANSWERING_BY_THEMSELVES: ReadonlySet<string> = new Set(
  [
    'ext2 ext3 ext4 xfs btrfs f2fs bcachefs zfs jfs nilfs2 reiserfs minix ufs zonefs',
    'squashfs erofs cramfs romfs iso9660 udf vfat msdos exfat ntfs ntfs3 hfs hfsplus jffs2 ubifs',
    'tmpfs ramfs rootfs devtmpfs hugetlbfs',
    'proc sysfs cgroup cgroup2 devpts securityfs debugfs tracefs bpf mqueue pstore efivarfs configfs nsfs binfmt_misc selinuxfs fusectl',
  ].flatMap((line) => line.split(' ')),
);

export interface Mount {
  /** `MAJOR:MINOR`; files of btrfs and overlay have other ones. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
  /** Of the file system, as the kernel escapes them. */
  readonly options: string;
}

/** All mounts of the mount namespace that are below its reader's root, by their ids. */
export function mountsById(mountinfo: string): ReadonlyMap<bigint, Mount> {
  const mounts = new Map<bigint, Mount>();
  for (const line of mountinfo.split('\n')) {
    const [id, , device, , point] = line.split(' ', 5);
    const [type, , options = ''] = line.slice(line.indexOf(' - ') + ' - '.length).split(' ');
    if (!id || device === undefined || point === undefined || type === undefined) continue;
    mounts.set(BigInt(id), { device, point: unescapeOctal(point), type, options });
  }
  return mounts;
}

export const answersByItself = ({ type }: Pick<Mount, 'type'>): boolean => ANSWERING_BY_THEMSELVES.has(type);

/** Where the layers of an overlay were when it was mounted; `undefined` where it is none, or they cannot be told. */
export function layersOf({ type, options }: Pick<Mount, 'type' | 'options'>): readonly string[] | undefined {
  if (type !== 'overlay') return undefined;
  const layers = options.split(',').flatMap((option) => {
    const [, name = '', value = ''] = /^([a-z]+)\+?=(.*)$/.exec(option) ?? [];
    return /^(?:lower|upper|data)dir$/.test(name) ? value.split(':').filter((each) => each !== '') : [];
  });
  const paths = layers.map(unescapeOctal);
  // A colon in a name is written with a backslash; what is no path was one of another directory, or of nobody's.
  const areTold = paths.length > 0 && paths.every((path) => path.startsWith('/') && !path.includes('\\'));
  return areTold ? paths : undefined;
}
