/** Where the tests of socket marks happen: a network namespace, cgroups and files of their own, removed again. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  attachToCgroup,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_PROG_TYPE_CGROUP_SOCK,
  loadProgram,
} from '../../../src/kernel/bpf/bpf-program.ts';
import { cgroup2MountDir } from '../../../src/kernel/cgroup.ts';
import { enterNetworkNamespace } from '../../../src/kernel/network-namespace.ts';
import { Agent } from './agent.ts';

const PYTHON = '/usr/bin/python3';
const JOIN_AND_EXEC = 'printf %s "$$" > "$1/cgroup.procs" || exit 125; shift; exec "$@"';

export const CGROUP_MOUNT_DIR: string = mountDir();

function mountDir(): string {
  const dir = cgroup2MountDir(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (dir === undefined) throw new Error('these tests need cgroup2');
  return dir;
}

/** Code, registers (source << 4 | destination), offset, immediate: struct bpf_insn. */
type Instruction = readonly [code: number, registers: number, offset: number, immediate: number];

/** `ctx->mark = mark; return 1` of struct bpf_sock, as somebody else would write it. */
export function markingInstructions(mark: number): Uint8Array {
  return instructions([
    [0xb4, 0x02, 0, mark | 0],
    [0x63, 0x21, 16, 0],
    [0xb7, 0x00, 0, 1],
    [0x95, 0x00, 0, 0],
  ]);
}

export function instructions(list: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(list.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, registers, offset, immediate]] of list.entries()) {
    view.setUint8(index * 8, code);
    view.setUint8(index * 8 + 1, registers);
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, immediate, true);
  }
  return bytes;
}

export class Place implements AsyncDisposable {
  readonly namespace: string;
  readonly dir: string;
  readonly #inside: Disposable;
  readonly #undo: (() => void)[] = [];
  readonly #agents: Agent[] = [];
  #files = 0;
  #cgroups = 0;

  /** The calling thread is in the network namespace until it is disposed of. */
  constructor() {
    this.namespace = `pmm-${process.pid}-${Math.floor(performance.now() * 1000)}`;
    execFileSync('ip', ['netns', 'add', this.namespace]);
    this.dir = mkdtempSync(join(tmpdir(), 'pmm-'));
    this.#inside = enterNetworkNamespace(`/run/netns/${this.namespace}`);
  }

  nextPath(): string {
    this.#files += 1;
    return join(this.dir, `program${this.#files}`);
  }

  /** An interpreter in a file of its own. */
  addProgram(name?: string): string {
    const path = name === undefined ? this.nextPath() : join(this.nextPath(), name);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(PYTHON, path, { dereference: true });
    return path;
  }

  hardLink(existing: string): string {
    const path = this.nextPath();
    linkSync(existing, path);
    return path;
  }

  symbolicLink(existing: string): string {
    const path = this.nextPath();
    symlinkSync(existing, path);
    return path;
  }

  replace(path: string): void {
    renameSync(this.addProgram(), path);
  }

  remove(path: string): void {
    rmSync(path);
  }

  /** A cgroup below the root, with nothing in it. */
  addCgroup(): string {
    this.#cgroups += 1;
    const dir = join(CGROUP_MOUNT_DIR, `${this.namespace}-${this.#cgroups}`);
    mkdirSync(dir);
    this.#undo.push(() => rmdirSync(dir));
    return dir;
  }

  /** Sockets that are made in the cgroup have this mark before programs of cgroups above see them. */
  markIn(cgroupDir: string, mark: number): void {
    using program = loadProgram({
      name: 'others',
      type: BPF_PROG_TYPE_CGROUP_SOCK,
      expectedAttachType: BPF_CGROUP_INET_SOCK_CREATE,
      instructions: markingInstructions(mark),
    });
    const link = attachToCgroup(program, BPF_CGROUP_INET_SOCK_CREATE, cgroupDir);
    this.#undo.push(() => link[Symbol.dispose]());
  }

  /** `command` ends with an interpreter. */
  async start(command: readonly string[], cgroupDir?: string, script?: string): Promise<Agent> {
    const whole = cgroupDir === undefined ? command : ['/bin/sh', '-c', JOIN_AND_EXEC, 'sh', cgroupDir, ...command];
    const agent = await Agent.start(whole, script);
    this.#agents.push(agent);
    return agent;
  }

  /** Called when the place goes, before all that was made earlier. */
  defer(undo: () => void): void {
    this.#undo.push(undo);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent[Symbol.asyncDispose]();
    for (const undo of this.#undo.reverse()) undo();
    this.#inside[Symbol.dispose]();
    execFileSync('ip', ['netns', 'del', this.namespace]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
