import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseBtf } from './btf.ts';
import { BtfError } from './errors.ts';
import { kernelLayout } from './kernel-layout.ts';

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`testdata/${name}.btf`, import.meta.url)));

/** As `pahole -C` prints them for the kernels that the fixtures are from. */
const LINUX_6_18 = {
  task_struct: { mm: 1136, files: 1824, group_leader: 1328, thread_pid: 1368, start_boottime: 1560, signal: 1848 },
  signal_struct: { live: 4 },
  mm_struct: { exe_file: 1312 },
  files_struct: { fdt: 32 },
  fdtable: { max_fds: 0, fd: 8 },
  file: { f_inode: 32, dentry: 72 },
  dentry: { name: 40 },
  inode: { i_ino: 64, i_sb: 40, i_generation: 124, i_nlink: 72, ctime_sec: 104, ctime_nsec: 120 },
  super_block: { s_dev: 16 },
  pid: { level: 4, numbers: 144 },
  upid: { nr: 0, ns: 8, size: 16 },
  linux_binprm: { filename: 96, interp: 104 },
  sock_common: { skc_num: 14, skc_dport: 12 },
};
const LINUX_6_1 = {
  ...LINUX_6_18,
  task_struct: { mm: 2272, files: 3048, group_leader: 2480, thread_pid: 2520, start_boottime: 2784, signal: 3072 },
  mm_struct: { exe_file: 944 },
  file: { f_inode: 32, dentry: 24 },
  inode: { i_ino: 64, i_sb: 40, i_generation: 592, i_nlink: 72, ctime_sec: 120, ctime_nsec: 128 },
  pid: { level: 4, numbers: 96 },
};

/** The fixture with one name replaced by another of the same length. */
function renamed(name: string, from: string, to: string): Uint8Array {
  const bytes = fixture(name);
  const at = Buffer.from(bytes).indexOf(`\0${from}\0`);
  expect(at).toBeGreaterThan(0);
  bytes.set(Buffer.from(to), at + 1);
  return bytes;
}

describe('kernelLayout()', () => {
  it.each([
    ['linux-6.18', LINUX_6_18],
    ['linux-6.1', LINUX_6_1],
  ])('kernelLayout() finds everything in %s', (name, want) => {
    expect(kernelLayout(parseBtf(fixture(name)))).toEqual(want);
  });

  it('kernelLayout() knows the change time of Linux 6.6 by its name', () => {
    // The longer name takes the place of another one in the fixture.
    const bytes = fixture('linux-6.1');
    const names = Buffer.from(bytes);
    const victim = '\0i_fsnotify_mask\0';
    expect(names.indexOf(victim)).toBeGreaterThan(0);
    const offsetOf = (text: string) => names.indexOf(text) + 1 - stringsAt(bytes);
    const from = offsetOf('\0i_ctime\0');
    const to = offsetOf(victim);
    bytes.set(Buffer.from('__i_ctime\0'), names.indexOf(victim) + 1);
    replaceMemberName(bytes, from, to);
    expect(kernelLayout(parseBtf(bytes)).inode).toEqual(LINUX_6_1.inode);
  });

  it.each([
    ['task_struct', 'start_boottime', 'start_boottine'],
    ['mm_struct', 'exe_file', 'exe_fill'],
    ['pid', 'numbers', 'numbert'],
  ])('kernelLayout() names what is missing: %s.%s', (struct, member, other) => {
    const parsed = parseBtf(renamed('linux-6.18', member, other));
    expect(() => kernelLayout(parsed)).toThrow(new BtfError(`struct ${struct} has no member ${member}`));
  });

  it('kernelLayout() names every change time it has looked for', () => {
    const parsed = parseBtf(renamed('linux-6.18', 'i_ctime_nsec', 'i_ctime_msec'));
    expect(() => kernelLayout(parsed)).toThrow(/no member i_ctime_nsec; .*__i_ctime\.tv_sec; .* i_ctime\.tv_sec/);
  });

  it('kernelLayout() refuses a big-endian kernel', () => {
    const parsed = { ...parseBtf(fixture('linux-6.18')), littleEndian: false };
    expect(() => kernelLayout(parsed)).toThrow('the kernel is big-endian');
  });
});

function stringsAt(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer);
  return view.getUint32(4, true) + view.getUint32(16, true);
}

/** Every word of the types that is the name's offset: small fixtures have no others that are equal by chance. */
function replaceMemberName(bytes: Uint8Array, from: number, to: number): void {
  const view = new DataView(bytes.buffer);
  for (let at = 24; at < stringsAt(bytes); at += 4) {
    if (view.getUint32(at, true) === to) view.setUint32(at, 0, true);
    if (view.getUint32(at, true) === from) view.setUint32(at, to, true);
  }
}
