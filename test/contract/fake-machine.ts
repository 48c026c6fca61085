/**
 * Processes that are pretended, and the files they run, which are real ones in a directory of their own: a kernel in memory
 * that marks their sockets, and `/proc` as it would show them.
 */
import {
  type BigIntStats,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  decodeExecutableKey,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_KEY_FIELDS,
  type ExecutableKey,
} from '../../src/bpf/records.ts';
import type { SocketOwner } from '../../src/identify/socket-owner.ts';
import type { CgroupTree } from '../../src/kernel/cgroup.ts';
import {
  type FakeProcess,
  type FakeProcessOptions,
  FakeSocketMarks,
  type RunningFile,
} from '../../src/kernel/fake/fake-socket-marks.ts';
import { fileIdentity, kernelLinkIdentity } from '../../src/kernel/file-identity.ts';
import { nameAtPath } from '../../src/kernel/file-name.ts';
import type { KernelError } from '../../src/kernel/kernel-error.ts';
import { openProc, type Proc } from '../../src/kernel/proc.ts';

const DELETED = ' (deleted)';
const CGROUP_IDS = new Map<string, bigint>([
  ['/', 1n],
  ['/apps', 2n],
]);

interface File {
  readonly generation: number;
  changes: number;
}

interface Running {
  readonly parentPid: number;
  /** What it runs, open so that it stays. */
  readonly descriptor: number;
  /** What it calls that, where its own mounts deceive. */
  readonly link?: string;
  readonly args: readonly string[];
}

export interface StartOptions extends FakeProcessOptions {
  readonly parentPid?: number;
  readonly link?: string;
  readonly args?: readonly string[];
}

export class FakeMachine implements Disposable {
  readonly #replaced: number[] = [];
  readonly root: string = realpathSync(mkdtempSync(join(tmpdir(), 'fake-machine-')));
  readonly marks: FakeSocketMarks;
  readonly proc: Proc = this.#openProc();
  readonly cgroups: CgroupTree = {
    mountDir: '/nowhere',
    idOfPath: (path) => CGROUP_IDS.get(path),
    childWithId: (above, id) =>
      [...CGROUP_IDS].find(([path, other]) => other === id && path !== '/' && dirname(path) === above)?.[0],
    pathOfId: (id) => [...CGROUP_IDS].find(([, other]) => other === id)?.[0],
    *walk() {
      for (const [path, id] of CGROUP_IDS) yield { path, id, level: path === '/' ? 0 : path.split('/').length - 1 };
    },
  };
  readonly #files = new Map<string, File>();
  readonly #running = new Map<number, Running & { readonly process: FakeProcess }>();
  #generation = 0;

  constructor(options: { readonly inheritanceRefusal?: KernelError } = {}) {
    this.marks = new FakeSocketMarks({
      ...options,
      files: {
        programFile: (path) => this.#fileAt(path),
        fileOf: (pid) => {
          const running = this.#running.get(pid);
          return running && this.#fileAt(`/proc/self/fd/${running.descriptor}`);
        },
      },
    });
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** A new file, in the place of any other. */
  writeFile(path: string): void {
    mkdirSync(dirname(path), { recursive: true });
    const fresh = `${path}.fresh`;
    writeFileSync(fresh, path);
    this.#generation += 1;
    this.#files.set(inodeOf(fresh), { generation: this.#generation, changes: 0 });
    this.#replace(path);
    renameSync(fresh, path);
  }

  /** A hard link, in the place of anything there. */
  linkFile(path: string, existing: string): void {
    this.#replace(path);
    rmSync(path, { force: true });
    linkSync(existing, path);
    this.#change(path);
  }

  /** The same by a link that leaves the file as it is. */
  switchLink(path: string, target: string): void {
    symlinkSync(target, `${path}.fresh`);
    this.#replace(path);
    renameSync(`${path}.fresh`, path);
  }

  moveFile(path: string, from: string): void {
    this.#replace(path);
    renameSync(from, path);
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) this.#change(path);
  }

  removeFile(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) this.#change(path);
    this.#replace(path);
    rmSync(path, { force: true });
  }

  hasFile(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  }

  start(path: string, { parentPid = 1, link, args, ...options }: StartOptions = {}): FakeProcess {
    const process = this.marks.start(path, { cgroupId: 2n, ...options });
    this.#run(process, path, { parentPid, args: args ?? [path], ...(link !== undefined && { link }) });
    return process;
  }

  fork(parent: FakeProcess): FakeProcess {
    const process = this.marks.fork(parent);
    const running = this.#runningOf(parent);
    const { link, args } = running;
    this.#run(process, `/proc/self/fd/${running.descriptor}`, {
      parentPid: parent.pid,
      args,
      ...(link !== undefined && { link }),
    });
    return process;
  }

  exec(process: FakeProcess, path: string, options: Pick<StartOptions, 'link' | 'args'> = {}): FakeProcess {
    const { parentPid, descriptor } = this.#runningOf(process);
    const changed = this.marks.exec(process, path);
    closeSync(descriptor);
    const { link, args = [path] } = options;
    this.#run(changed, path, { parentPid, args, ...(link !== undefined && { link }) });
    return changed;
  }

  end(process: FakeProcess): void {
    this.marks.end(process);
    this.#forget(process.pid);
  }

  /** `pid` goes to another process, which runs the file at the path; nothing of the one before is left but its sockets. */
  giveAwayPid(before: FakeProcess, path: string): void {
    this.#forget(before.pid);
    this.#run({ ...before, startTicks: before.startTicks + 1000 }, path, { parentPid: 1, args: [path] });
  }

  get processes(): readonly FakeProcess[] {
    return [...this.#running.values()].map(({ process }) => process);
  }

  /** A socket as sock_diag shows it, and its mark. */
  makeSocket(process: FakeProcess): SocketOwner & { readonly mark: number } {
    const { cookie, mark } = this.marks.makeSocket(process, 4);
    return { inode: Number(cookie) + 7000, uid: process.uid, cookie, cgroupId: process.cgroupId, mark };
  }

  [Symbol.dispose](): void {
    for (const { descriptor } of this.#running.values()) closeSync(descriptor);
    this.#running.clear();
    for (const descriptor of this.#replaced.splice(0)) closeSync(descriptor);
    rmSync(this.root, { recursive: true, force: true });
  }

  /** A number that is given out again within a tick of the clock would be the same file: it takes one that is closed for that. */
  #replace(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) this.#replaced.push(openSync(path, 'r'));
  }

  #change(path: string): void {
    const file = this.#files.get(inodeOf(path));
    if (file !== undefined) file.changes += 1;
  }

  #run(process: FakeProcess, path: string, running: Omit<Running, 'descriptor'>): void {
    this.#running.set(process.pid, { ...running, process, descriptor: openSync(path, 'r') });
  }

  #runningOf({ pid }: FakeProcess): Running {
    const running = this.#running.get(pid);
    if (running === undefined) throw new Error(`process ${pid} has ended`);
    return running;
  }

  #forget(pid: number): void {
    const running = this.#running.get(pid);
    if (running !== undefined) closeSync(running.descriptor);
    this.#running.delete(pid);
  }

  #fileAt(path: string): RunningFile | undefined {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile()) return undefined;
    const fd = openSync(path, 'r');
    try {
      // Where it is now, as a renamed file has its new name.
      const name = nameAtPath(withoutDeleted(readlinkSync(`/proc/self/fd/${fd}`)));
      return { key: this.#keyOf(stat), name, links: Number(stat.nlink) };
    } finally {
      closeSync(fd);
    }
  }

  #keyOf(stat: BigIntStats): ExecutableKey {
    const { generation, changes } = this.#files.get(`${stat.dev}:${stat.ino}`) ?? { generation: 0, changes: 0 };
    const view = new DataView(new ArrayBuffer(EXECUTABLE_KEY_BYTES));
    const at = EXECUTABLE_KEY_FIELDS;
    view.setBigUint64(at.inode, stat.ino, true);
    view.setUint32(at.device, Number(stat.dev & 0xffffffffn), true);
    view.setUint32(at.generation, generation, true);
    view.setUint32(at.changeNanoseconds, changes, true);
    return decodeExecutableKey(new Uint8Array(view.buffer));
  }

  /** What is not pretended is nowhere. */
  #openProc(): Proc {
    const linkOf = (pid: number): string | undefined => {
      const running = this.#running.get(pid);
      return running && (running.link ?? readlinkSync(`/proc/self/fd/${running.descriptor}`));
    };
    const own = openProc();
    return {
      ...openProc('/nowhere'),
      pids: () => [...this.#running.keys()],
      stat: (pid) => {
        const running = this.#running.get(pid);
        if (running === undefined) return pid === process.pid ? own.stat(pid) : undefined;
        return { parentPid: running.parentPid, startTimeTicks: running.process.startTicks };
      },
      executable: (pid) => {
        const link = linkOf(pid);
        return link && withoutDeleted(link);
      },
      executableLink: (pid) => `/proc/self/fd/${this.#running.get(pid)?.descriptor ?? 'none'}`,
      executableFile: (pid) => {
        const running = this.#running.get(pid);
        return running && kernelLinkIdentity(`/proc/self/fd/${running.descriptor}`);
      },
      isExecutableDeleted: (pid) => linkOf(pid)?.endsWith(DELETED) === true,
      exactArguments: (pid) => this.#arguments(pid),
      commandLine: (pid) => this.#arguments(pid),
      fileAt: (_, path) => fileIdentity(path),
      cgroup: (pid) => (this.#running.has(pid) ? '/apps' : undefined),
    };
  }

  #arguments(pid: number): string[] | undefined {
    const running = this.#running.get(pid);
    return running && [...running.args];
  }
}

const withoutDeleted = (link: string): string => (link.endsWith(DELETED) ? link.slice(0, -DELETED.length) : link);

function inodeOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}
