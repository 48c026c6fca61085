import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { COUNTERS, MAPS } from '../../src/bpf/maps.ts';
import { describeExecutableKey, encodeU32, encodeU64, NO_EXECUTABLE } from '../../src/bpf/records.ts';
import { BpfMap } from '../../src/kernel/bpf/bpf-map.ts';
import {
  attachToCgroup,
  attachToTracepoint,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_PROG_TYPE_CGROUP_SOCK,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  loadProgram,
} from '../../src/kernel/bpf/bpf-program.ts';
import { openSocketMarks } from '../../src/kernel/bpf/linux-socket-marks.ts';
import { namespaceCookie } from '../../src/kernel/bpf/namespace-cookie.ts';
import { borrowSocketMarks } from '../../src/kernel/bpf/socket-mark-maps.ts';
import { readVmlinuxLayout } from '../../src/kernel/bpf/vmlinux-layout.ts';
import { openProc } from '../../src/kernel/proc.ts';
import type { SocketMarks } from '../../src/kernel/socket-marks.ts';
import { PROGRAM_NONE_FIRST, programMark } from '../../src/plan/reserved.ts';
import { type SocketMarksWorld, socketMarksContract } from '../contract/socket-marks-contract.ts';
import { AF_INET, AF_INET6, AGENT_SCRIPT, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from './socket-marks/agent.ts';
import { attachedPrograms } from './socket-marks/attached-programs.ts';
import { buildKernelLayer, Holder } from './socket-marks/holder.ts';
import { CGROUP_MOUNT_DIR, instructions, markingInstructions, Place } from './socket-marks/place.ts';
import { readableCopy } from './support/readable-copy.ts';
import { until } from './support/until.ts';

const SOCK_CREATE = { type: BPF_PROG_TYPE_CGROUP_SOCK, expectedAttachType: BPF_CGROUP_INET_SOCK_CREATE };
const RETURN_0 = instructions([
  [0xb7, 0x00, 0, 0],
  [0x95, 0x00, 0, 0],
]);
const HAS_COMPILER = spawnSync('gcc', ['--version']).status === 0;
const STATIC_PROGRAM = `
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
  unsigned mark = 0;
  socklen_t length = sizeof mark;
  getsockopt(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_MARK, &mark, &length);
  printf("%u", mark);
}
`;
/** BPF_CGROUP_MAX_PROGS */
const MAX_ATTACHED = 64;

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place[Symbol.asyncDispose]());

describe('BpfMap', () => {
  it('BpfMap adds, finds, replaces, deletes and lists', () => {
    using map = BpfMap.create(MAPS.executables);
    const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
    const value = (n: number): Uint8Array => new Uint8Array(16).fill(n);
    expect(map.lookup(key(1))).toBeUndefined();
    map.update(key(1), value(1));
    map.update(key(2), value(2));
    map.update(key(1), value(3));
    expect(map.lookup(key(1))).toEqual(value(3));
    expect(map.entries().length).toBe(2);
    expect(map.delete(key(2))).toBe(true);
    expect(map.delete(key(2))).toBe(false);
    expect(map.entries()).toEqual([{ key: key(1), value: value(3) }]);
    const borrowed = BpfMap.borrow(map.fd, MAPS.executables);
    borrowed[Symbol.dispose]();
    expect(borrowed.lookup(key(1))).toEqual(value(3));
  });

  it('BpfMap lists more than a batch, each once', () => {
    using map = BpfMap.create({ ...MAPS.executables, keyBytes: 8, valueBytes: 4 });
    const elements = Array.from({ length: 5000 }, (_, i) => ({ key: encodeU64(BigInt(i)), value: encodeU32(i) }));
    map.updateAll(elements);
    const found = map.entries().map(({ key }) => new DataView(key.buffer).getUint32(0, true));
    expect(found.sort((a, b) => a - b)).toEqual(elements.map((_, i) => i));
  });

  it('BpfMap says that it is full, and what is beyond an array', () => {
    using map = BpfMap.create({ ...MAPS.learners, maxEntries: 2 });
    map.update(encodeU64(1n), encodeU32(1));
    map.update(encodeU64(2n), encodeU32(1));
    expect(() => map.update(encodeU64(3n), encodeU32(1))).toThrow(
      expect.objectContaining({ operation: 'update BPF map', code: 'E2BIG', object: 'pm_learners' }),
    );
    using array = BpfMap.create(MAPS.counters);
    expect(() => array.updateAll([{ key: encodeU32(COUNTERS), value: encodeU64(1n) }])).toThrow(/E2BIG/);
  });

  it('BpfMap names the map that the kernel does not make', () => {
    expect(() => BpfMap.create({ ...MAPS.ways, maxEntries: 0 })).toThrow(
      expect.objectContaining({ operation: 'create BPF map', code: 'EINVAL', object: 'pm_ways' }),
    );
  });
});

describe('BPF programs', () => {
  it('loadProgram() and attachToCgroup() have effect until the link is closed', async () => {
    const cgroup = place.addCgroup();
    const agent = await place.start([place.addProgram()], cgroup);
    const make = (): Promise<number> =>
      agent.socket({ family: AF_INET, type: SOCK_STREAM, protocol: 0 }).then(({ mark }) => mark);
    const program = loadProgram({ ...SOCK_CREATE, name: 'marks', instructions: markingInstructions(0xfedcba98) });
    const link = attachToCgroup(program, BPF_CGROUP_INET_SOCK_CREATE, cgroup);
    program[Symbol.dispose]();
    expect(await make()).toBe(0xfedcba98);
    expect(attachedPrograms(cgroup)).toHaveLength(1);
    link[Symbol.dispose]();
    link[Symbol.dispose]();
    expect(await make()).toBe(0);
    expect(attachedPrograms(cgroup)).toHaveLength(0);
  });

  it('loadProgram() says what the verifier says', () => {
    const uninitialised = instructions([
      [0xbf, 0x30, 0, 0],
      [0x95, 0x00, 0, 0],
    ]);
    expect(() => loadProgram({ ...SOCK_CREATE, name: 'wrong', instructions: uninitialised })).toThrow(
      expect.objectContaining({
        operation: 'load BPF program',
        code: 'EACCES',
        object: 'wrong',
        message: expect.stringContaining('R3 !read_ok'),
      }),
    );
  });

  it('attachToCgroup() says that there are too many programs, and where no cgroup is', () => {
    const cgroup = place.addCgroup();
    using program = loadProgram({ ...SOCK_CREATE, name: 'one', instructions: markingInstructions(1) });
    const attach = (dir: string): Disposable => attachToCgroup(program, BPF_CGROUP_INET_SOCK_CREATE, dir);
    for (let attached = 0; attached < MAX_ATTACHED; attached += 1) {
      const link = attach(cgroup);
      place.defer(() => link[Symbol.dispose]());
    }
    expect(() => attach(cgroup)).toThrow(expect.objectContaining({ code: 'E2BIG', object: cgroup }));
    expect(() => attach(cgroup)).toThrow('as many programs');
    expect(() => attach(place.dir)).toThrow('not a cgroup of version 2');
    expect(() => attach(`${place.dir}/none`)).toThrow(expect.objectContaining({ operation: 'open', code: 'ENOENT' }));
  });

  it('attachToTracepoint() names the tracepoint that is not there', () => {
    using program = loadProgram({ name: 'trace', type: BPF_PROG_TYPE_RAW_TRACEPOINT, instructions: RETURN_0 });
    attachToTracepoint(program, 'sched_process_exit')[Symbol.dispose]();
    expect(() => attachToTracepoint(program, 'no_such_thing')).toThrow(
      expect.objectContaining({ operation: 'open raw tracepoint', code: 'ENOENT', object: 'no_such_thing' }),
    );
  });
});

socketMarksContract('Linux', openLinuxWorld);

/** In the place of the test, with a cgroup of its own for what others mark. */
async function openLinuxWorld(options?: { readonly maxTasks: number }): Promise<SocketMarksWorld> {
  const marks = openSocketMarks({ cgroupMountDir: CGROUP_MOUNT_DIR, ...options });
  return {
    marks,
    borrow: () => borrowSocketMarks(marks.handle),
    addProgram: (name) => place.addProgram(name),
    hardLink: (path) => place.hardLink(path),
    symbolicLink: (path) => place.symbolicLink(path),
    replace: (path) => place.replace(path),
    remove: (path) => place.remove(path),
    start: (path, { markedBefore } = {}) => {
      if (markedBefore === undefined) return place.start([path]);
      const cgroup = place.addCgroup();
      place.markIn(cgroup, markedBefore);
      return place.start([path], cgroup);
    },
    close: async () => marks[Symbol.dispose](),
  };
}

describe('openSocketMarks()', () => {
  const open = (): SocketMarks => {
    const marks = openSocketMarks({ cgroupMountDir: CGROUP_MOUNT_DIR });
    place.defer(() => marks[Symbol.dispose]());
    return marks;
  };
  const nameProgram = (marks: SocketMarks, path: string, number: number): void => {
    const key = marks.keyOfFile(path);
    if (key === undefined) throw new Error(`no key of ${path}`);
    marks.setExecutable(key, { number });
  };

  it.each([
    ['TCP', AF_INET, SOCK_STREAM, 0],
    ['TCP over IPv6', AF_INET6, SOCK_STREAM, 0],
    ['UDP', AF_INET, SOCK_DGRAM, 0],
    ['UDP over IPv6', AF_INET6, SOCK_DGRAM, 0],
    ['raw', AF_INET, SOCK_RAW, 253],
    ['raw with its own header', AF_INET, SOCK_RAW, 255],
    ['raw over IPv6', AF_INET6, SOCK_RAW, 253],
    ['raw ICMP', AF_INET, SOCK_RAW, 1],
    ['raw ICMPv6', AF_INET6, SOCK_RAW, 58],
    ['ping', AF_INET, SOCK_DGRAM, 1],
    ['ping over IPv6', AF_INET6, SOCK_DGRAM, 58],
  ])('openSocketMarks() marks the first socket of a program: %s', async (_what, family, type, protocol) => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 0');
    const agent = await place.start([path]);
    const { mark, cookie } = await agent.socket({ family, type, protocol });
    expect(mark).toBe(programMark(7));
    expect(marks.creatorOf(cookie)).toMatchObject({ pid: agent.pid, number: 7 });
  });

  it('openSocketMarks() marks sockets of threads, and notes the process', async () => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    const agent = await place.start([path]);
    const wanted = { family: AF_INET, type: SOCK_STREAM, protocol: 0 };
    const { mark, cookie } = await agent.socket(wanted, 'socket_in_thread');
    expect(mark).toBe(programMark(7));
    expect(marks.creatorOf(cookie)).toMatchObject({ pid: agent.pid, startTicks: agent.startTicks });
  });

  it('openSocketMarks() does not see other network namespaces', async () => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    const before = marks.counts();
    const agent = await place.start(['unshare', '--net', path]);
    const { mark, cookie } = await agent.makeSocket(4);
    expect(mark).toBe(0);
    expect(marks.creatorOf(cookie)).toBeUndefined();
    expect(marks.counts()).toEqual(before);
  });

  it('openSocketMarks() knows a process of another pid namespace by the pid that it has here', async () => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    const agent = await place.start(['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', path]);
    const { cookie } = await agent.makeSocket(4);
    const creator = marks.creatorOf(cookie);
    expect(agent.pid).toBe(1);
    expect(creator?.number).toBe(7);
    expect(creator?.pid).toBeGreaterThan(1);
    expect(openProc().executable(creator?.pid ?? 0)).toBe(path);
    expect(openProc().stat(creator?.pid ?? 0)?.startTimeTicks).toBe(creator?.startTicks);
  });

  it('openSocketMarks() leaves the mark that a program gives its socket itself', async () => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    const agent = await place.start([path]);
    const wanted = { family: AF_INET, type: SOCK_STREAM, protocol: 0 };
    expect((await agent.socket({ ...wanted, ownMark: 0x1234 })).mark).toBe(0x1234);
  });

  it('openSocketMarks() notes user, group and name of who makes a socket', async () => {
    const marks = open();
    const path = place.addProgram();
    chmodSync(place.dir, 0o755);
    const asOther = ['setpriv', '--reuid', '4242', '--regid', '4343', '--clear-groups', path];
    const agent = await place.start(asOther, undefined, readableCopy(AGENT_SCRIPT, join(place.dir, 'agent.py')));
    const { cookie } = await agent.makeSocket(4);
    expect(marks.creatorOf(cookie)).toMatchObject({ uid: 4242, gid: 4343, command: basename(path) });
  });

  it('openSocketMarks() tells programs without a name: removed ones, and those in memory only', async () => {
    const marks = open();
    const removed = place.addProgram();
    const agent = await place.start([removed]);
    place.remove(removed);
    const ofRemoved = marks.creatorOf((await agent.makeSocket(4)).cookie);
    expect(describeExecutableKey(ofRemoved?.executable ?? NO_EXECUTABLE).inode).not.toBe(0n);
    marks.setExecutable(ofRemoved?.executable ?? NO_EXECUTABLE, { number: 7 });
    expect((await agent.makeSocket(4)).mark).toBe(programMark(7));
    await agent.execMemoryFile();
    const ofMemory = await agent.makeSocket(4);
    expect(ofMemory.mark).toBe(0);
    const memory = describeExecutableKey(marks.creatorOf(ofMemory.cookie)?.executable ?? NO_EXECUTABLE);
    expect(memory.inode).not.toBe(0n);
    expect(memory.device).not.toBe(describeExecutableKey(ofRemoved?.executable ?? NO_EXECUTABLE).device);
  });

  it.skipIf(!HAS_COMPILER)('openSocketMarks() marks sockets of a static program', () => {
    const marks = open();
    const source = `${place.nextPath()}.c`;
    const path = place.nextPath();
    writeFileSync(source, STATIC_PROGRAM);
    execFileSync('gcc', ['-static', '-o', path, source]);
    nameProgram(marks, path, 7);
    expect(Number(execFileSync(path, { encoding: 'utf8' }))).toBe(programMark(7));
  });

  it('bindTask() does nothing where nothing is inherited', () => {
    const marks = open();
    const borrowed = borrowSocketMarks({ ...marks.handle, inheritance: false });
    borrowed.bindTask(1, 1, { number: 7, script: true });
    expect(marks.taskOf(1, 1)).toBeUndefined();
  });

  it('setNobody() says nothing of a file with more than one name, which may be a named one by another', async () => {
    const marks = open();
    const [path, other] = [place.addProgram(), place.addProgram()];
    marks.setNobody({ number: PROGRAM_NONE_FIRST, inAnyCgroup: true });
    place.hardLink(path);
    expect((await (await place.start([path])).makeSocket(4)).mark).toBe(0);
    expect((await (await place.start([other])).makeSocket(4)).mark).toBe(programMark(PROGRAM_NONE_FIRST));
  });

  it('keyOfFile() is the key of the program that runs from an overlay', async () => {
    const marks = open();
    const disk = join(place.dir, 'disk');
    mkdirSync(disk);
    // Not every file system can be the upper one: an overlay cannot.
    execFileSync('mount', ['-t', 'tmpfs', 'none', disk]);
    place.defer(() => execFileSync('umount', ['--lazy', disk]));
    const at = (name: string): string => join(disk, name);
    const [lower, upper, work, merged] = [at('lower'), at('upper'), at('work'), at('merged')];
    for (const dir of [lower, upper, work, merged]) mkdirSync(dir);
    cpSync(place.addProgram(), join(lower, 'below'));
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    execFileSync('mount', ['-t', 'overlay', '-o', layers, 'none', merged]);
    place.defer(() => execFileSync('umount', ['--lazy', merged]));
    cpSync(place.addProgram(), join(merged, 'above'));
    for (const [number, file] of ['below', 'above'].entries()) {
      const path = join(merged, file);
      nameProgram(marks, path, number + 7);
      const agent = await place.start([path]);
      expect((await agent.makeSocket(4)).mark).toBe(programMark(number + 7));
    }
    expect(marks.keyOfFile(join(merged, 'below'))).not.toBe(marks.keyOfFile(join(lower, 'below')));
  });

  it('keyOfFile() is asked by one socket only: the next one of the thread is like others', () => {
    const marks = open();
    marks.keyOfFile(place.addProgram());
    const before = marks.counts();
    expect(namespaceCookie()).toBeGreaterThan(0n);
    expect(marks.counts()).toEqual({ ...before, unmarked: before.unmarked + 1 });
  });

  it('keyOfFile() does not wait for FIFOs, and does not leave descriptors open', () => {
    const marks = open();
    const fifo = place.nextPath();
    execFileSync('mkfifo', [fifo]);
    const path = place.addProgram();
    const descriptors = (): number => openProc().descriptors(process.pid)?.length ?? 0;
    const before = descriptors();
    expect(marks.keyOfFile(fifo)).toBeUndefined();
    expect(marks.keyOfFile(`${path}\0.txt`)).toBeUndefined();
    for (let asked = 0; asked < 100; asked += 1) marks.keyOfFile(path);
    expect(descriptors()).toBe(before);
  });

  it('openSocketMarks() works beside another of the same namespace, which keeps what was first', async () => {
    const path = place.addProgram();
    const agent = await place.start([path]);
    const first = open();
    const second = open();
    nameProgram(first, path, 7);
    nameProgram(second, path, 8);
    const { mark, cookie } = await agent.makeSocket(4);
    expect(mark).toBe(programMark(7));
    expect(first.creatorOf(cookie)?.number).toBe(7);
    expect(second.creatorOf(cookie)?.number).toBe(8);
    expect(second.counts().foreign).toBe(1);
    first[Symbol.dispose]();
    expect((await agent.makeSocket(4)).mark).toBe(programMark(8));
  });

  it('openSocketMarks() works beside another of another namespace', async () => {
    const path = place.addProgram();
    const agent = await place.start([path]);
    nameProgram(open(), path, 7);
    {
      await using elsewhere = new Place();
      using other = openSocketMarks({ cgroupMountDir: CGROUP_MOUNT_DIR });
      nameProgram(other, path, 8);
      expect((await agent.makeSocket(4)).mark).toBe(programMark(7));
      expect((await (await elsewhere.start([path])).makeSocket(4)).mark).toBe(programMark(8));
      expect(() => nameProgram(other, path, 9)).not.toThrow();
    }
    expect((await agent.makeSocket(4)).mark).toBe(programMark(7));
  });

  it('keyOfFile() says when it is asked from another network namespace', async () => {
    const marks = open();
    const path = place.addProgram();
    await using _elsewhere = new Place();
    expect(() => marks.keyOfFile(path)).toThrow(expect.objectContaining({ name: 'KernelError', object: path }));
  });

  it('openSocketMarks() leaves nothing attached and nothing open when it is disposed of', () => {
    const before = attachedPrograms(CGROUP_MOUNT_DIR);
    const descriptors = (): number => openProc().descriptors(process.pid)?.length ?? 0;
    const openBefore = descriptors();
    const marks = openSocketMarks({ cgroupMountDir: CGROUP_MOUNT_DIR });
    expect(attachedPrograms(CGROUP_MOUNT_DIR)).toHaveLength(before.length + 1);
    expect(marks.inheritance).toBe(true);
    marks[Symbol.dispose]();
    marks[Symbol.dispose]();
    expect(attachedPrograms(CGROUP_MOUNT_DIR)).toEqual(before);
    expect(descriptors()).toBe(openBefore);
  });

  it('openSocketMarks() names what is missing, and leaves nothing', () => {
    const descriptors = (): number => openProc().descriptors(process.pid)?.length ?? 0;
    const before = descriptors();
    expect(() => openSocketMarks({ cgroupMountDir: place.dir })).toThrow('not a cgroup of version 2');
    const outside = place.addCgroup();
    expect(() => openSocketMarks({ cgroupMountDir: outside })).toThrow('outside of the cgroup');
    expect(attachedPrograms(outside)).toEqual([]);
    expect(() => readVmlinuxLayout('/sys/kernel/btf/none')).toThrow(
      expect.objectContaining({ name: 'KernelError', code: 'ENOENT', object: '/sys/kernel/btf/none' }),
    );
    expect(() => readVmlinuxLayout('/bin/sh')).toThrow(
      expect.objectContaining({ name: 'KernelError', object: '/bin/sh' }),
    );
    expect(descriptors()).toBe(before);
  });

  it('setWays() writes everything anew after the kernel refused a part', async () => {
    const marks = open();
    const path = place.addProgram();
    nameProgram(marks, path, 7);
    const agent = await place.start([path]);
    const way = { v4: 0x01000000, v6: 0x02000000 };
    expect(() =>
      marks.setWays(
        new Map([
          [7, way],
          [0x8000, way],
        ]),
      ),
    ).toThrow(/E2BIG/);
    expect(marks.ways()).toBeUndefined();
    marks.setWays(new Map([[8, way]]));
    expect(marks.ways()).toEqual(new Map([[8, way]]));
    expect((await agent.makeSocket(4)).mark).toBe(programMark(7));
  });

  describe('in another process', () => {
    beforeAll(buildKernelLayer);
    const hold = (...wrap: readonly string[]): Holder => {
      const holder = new Holder(wrap, CGROUP_MOUNT_DIR, '/bin/sh');
      place.defer(() => void holder.kill());
      return holder;
    };

    it('borrowSocketMarks() works in another thread', async () => {
      const holder = hold();
      const said = await holder.said();
      expect(said).toMatchObject({ key: open().keyOfFile('/bin/sh'), borrowed: said.key });
    });

    it('openSocketMarks() tells pids as its own pid namespace has them, and its own sockets like others', async () => {
      const nested = await hold('unshare', '--pid', '--fork', '--kill-child', '--mount-proc').said();
      expect(nested).toMatchObject({ pid: 1, creator: 1 });
      const { pid, creator } = await hold().said();
      expect(creator).toBe(pid);
    });

    it('openSocketMarks() leaves nothing when its process is killed', async () => {
      const before = attachedPrograms(CGROUP_MOUNT_DIR);
      const holder = hold();
      await holder.said();
      expect(attachedPrograms(CGROUP_MOUNT_DIR)).toHaveLength(before.length + 1);
      await holder.kill();
      await until('the kernel to clean up', () => attachedPrograms(CGROUP_MOUNT_DIR).length === before.length);
    });

    it('openSocketMarks() says when BPF is not permitted', async () => {
      const holder = hold('setpriv', '--bounding-set', '-sys_admin,-bpf', '--inh-caps', '-sys_admin,-bpf', '--');
      expect(await holder.said()).toEqual({
        refusal: expect.objectContaining({
          name: 'KernelError',
          code: 'EPERM',
          message: expect.stringContaining('BPF is not permitted (CAP_BPF'),
        }),
      });
    });
  });
});
