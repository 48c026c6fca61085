/**
 * One device with three uplinks, IPv4 and IPv6, and the other end of all of them, for one schedule: network namespaces, a cgroup, and a directory
 * of programs and policies of its own. Several can stand beside each other.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Status } from '../../src/api/status.ts';
import { openClient } from '../../src/cli/client.ts';
import { removePinsOfGoneNamespaces } from '../../src/kernel/bpf/pin-directory.ts';
import { openCgroupTree } from '../../src/kernel/cgroup.ts';
import { CHECKOUT, POINTSMAN } from '../netns/support/build-program.ts';
import { Daemon } from '../netns/support/daemon.ts';
import { until } from '../netns/support/until.ts';
import type { Attempt, Packet } from './judge-run.ts';
import type { UplinkName } from './schedule.ts';

const ACTORS = ['sender', 'stage', 'far-end'] as const;
const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-O1', '-static', '-s'];

/** By family. The second takes floods, which nobody counts. */
export const FAR = { 4: '203.0.113.9', 6: '2001:db8::9' } as const;
export const FLOODED = { 4: '203.0.113.10', 6: '2001:db8::a' } as const;

/** The first is the system's route. */
const UPLINKS: Readonly<
  Record<UplinkName, { readonly number: number; readonly metric: number; readonly body: string }>
> = {
  wifi: { number: 1, metric: 100, body: 'type: wifi\n' },
  cellular: { number: 2, metric: 700, body: 'type: cellular\nmetered: true\n' },
  vpn: { number: 3, metric: 800, body: 'type: vpn\nencrypted: true\n' },
};
export const UPLINK_NAMES = Object.keys(UPLINKS) as readonly UplinkName[];

const ACTORS_DIRECTORY = join(CHECKOUT, 'dist/.test/schedule-actors');
let built: Promise<unknown> | undefined;

/** Once; others may be at it at the same time. */
function buildActors(): Promise<unknown> {
  built ??= Promise.all(
    ACTORS.map(async (name) => {
      const next = join(ACTORS_DIRECTORY, `${name}.${process.pid}`);
      mkdirSync(ACTORS_DIRECTORY, { recursive: true });
      await promisify(execFile)('gcc', [...FLAGS, '-o', next, join(import.meta.dirname, `actors/${name}.c`)]);
      renameSync(next, join(ACTORS_DIRECTORY, name));
    }),
  );
  return built;
}

let worlds = 0;

export class ScheduleWorld implements AsyncDisposable {
  /** Also as the name of its cgroup. */
  readonly name: string = `pms${process.pid}x${worlds++}`;
  readonly directory: string;
  readonly root: string;
  readonly attempts: Attempt[] = [];
  readonly packets: Packet[] = [];
  readonly #cgroup: string;
  #stage: Lines | undefined;
  #farEnd: Lines | undefined;
  #daemon: Daemon | undefined;
  #missed: number | undefined;

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'pms-'));
    // Programs run as other users.
    chmodSync(this.directory, 0o755);
    this.root = join(this.directory, 'root');
    const tree = openCgroupTree();
    if (tree === undefined) throw new Error('no cgroup2 file system is mounted');
    this.#cgroup = join(tree.mountDir, this.name);
  }

  /** `ports`: where the other end answers. */
  static async build(ports: readonly number[]): Promise<ScheduleWorld> {
    await buildActors();
    const world = new ScheduleWorld();
    try {
      mkdirSync(world.#cgroup);
      world.#buildNetwork();
      for (const name of UPLINK_NAMES) {
        const { number, body } = UPLINKS[name];
        world.write(
          `etc/pointsman/uplinks/${name}.yaml`,
          `pointsman: 1\nuplink: ${name}\ndevice: u${number}\npriority: ${number}\nprobe: off\n${body}`,
        );
      }
      await world.#startActors(ports);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  #buildNetwork(): void {
    const [device, net] = [`${this.name}-device`, `${this.name}-net`];
    for (const namespace of [device, net]) {
      ip('netns', 'add', namespace);
      const zero =
        'for name in all/disable_ipv6 default/disable_ipv6 default/accept_dad; do echo 0 >/proc/sys/net/ipv6/conf/$name; done';
      execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'sh', '-c', zero]);
    }
    const numbers = UPLINK_NAMES.map((uplink) => UPLINKS[uplink].number);
    batch(device, [
      'link set lo up',
      ...numbers.map((i) => `link add u${i} type veth peer name n${i} netns ${net}`),
      ...numbers.flatMap((i) => [
        `addr add 10.9.${i}.2/24 dev u${i}`,
        `addr add fd09:${i}::2/64 dev u${i} nodad`,
        `link set u${i} up`,
      ]),
    ]);
    batch(net, [
      'link set lo up',
      ...numbers.flatMap((i) => [
        `addr add 10.9.${i}.1/24 dev n${i}`,
        `addr add fd09:${i}::1/64 dev n${i} nodad`,
        `link set n${i} up`,
      ]),
      ...[FAR, FLOODED].flatMap((to) => [`addr add ${to[4]} dev lo`, `addr add ${to[6]} dev lo nodad`]),
    ]);
    for (const uplink of UPLINK_NAMES) this.#addRoutes(uplink);
  }

  #addRoutes(uplink: UplinkName): void {
    const { number, metric } = UPLINKS[uplink];
    batch(`${this.name}-device`, [
      `route add 0.0.0.0/0 via 10.9.${number}.1 dev u${number} metric ${metric}`,
      `route add ::/0 via fd09:${number}::1 dev u${number} metric ${metric}`,
    ]);
  }

  setUplink(uplink: UplinkName, state: 'up' | 'down'): void {
    const device = `u${UPLINKS[uplink].number}`;
    batch(`${this.name}-device`, [`link set ${device} ${state}`]);
    if (state === 'down') return;
    // A device that goes down loses its IPv6 addresses and all its routes.
    batch(`${this.name}-device`, [`addr replace fd09:${UPLINKS[uplink].number}::2/64 dev ${device} nodad`]);
    this.#addRoutes(uplink);
  }

  async #startActors(ports: readonly number[]): Promise<void> {
    const farEnd = join(ACTORS_DIRECTORY, 'far-end');
    this.#farEnd = new Lines(this.#inside('net', [farEnd, FAR[4], FAR[6], ...ports.map(String)]), (line) =>
      this.#take(line),
    );
    await this.#farEnd.line('ready');
    this.makeCgroup('plain');
    this.#stage = new Lines(this.#inside('device', [this.program('stage', 'stage')]), (line) => this.#take(line));
  }

  #inside(part: 'device' | 'net', command: readonly string[]): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.name}-${part}`, ...command];
  }

  #take(line: string): void {
    const [kind, ...words] = line.split(' ');
    if (kind === 'R') {
      const [row, era, , beganUs, endedUs, result = '', id = ''] = words;
      const attempt = {
        row: Number(row),
        era: Number(era),
        beganUs: Number(beganUs),
        endedUs: Number(endedUs),
        result,
        id,
      };
      this.attempts.push(attempt);
    } else if (kind === 'P') {
      const [atUs, device, protocol, , , port, id = ''] = words;
      const uplink = UPLINK_NAMES.find((name) => device === `n${UPLINKS[name].number}`);
      if (uplink === undefined) throw new Error(`a packet by no uplink: ${line}`);
      // What the kernel says of a socket that is gone (ICMP) is of no program.
      if (protocol === '6' || protocol === '17')
        this.packets.push({ atUs: Number(atUs), uplink, port: Number(port), id });
    } else if (kind === 'missed') {
      this.#missed = Number(words[0]);
    }
  }

  path(below: string): string {
    return join(this.directory, below);
  }

  write(below: string, text: string): void {
    const file = join(this.root, below);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  remove(below: string): void {
    rmSync(join(this.root, below), { force: true });
  }

  /** A file of its own. */
  program(below: string, actor: (typeof ACTORS)[number] = 'sender'): string {
    const file = this.path(`opt/${below}`);
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(join(ACTORS_DIRECTORY, actor), file);
    chmodSync(file, 0o755);
    return file;
  }

  /** Another file in its place, by rename. */
  replaceProgram(file: string): void {
    copyFileSync(join(ACTORS_DIRECTORY, 'sender'), `${file}.new`);
    chmodSync(`${file}.new`, 0o755);
    renameSync(`${file}.new`, file);
  }

  link(to: string, at: string): void {
    symlinkSync(to, `${at}.next`);
    renameSync(`${at}.next`, at);
  }

  /** The path that a policy says for a cgroup here. */
  cgroupPath(below: string): string {
    return `/${this.name}/${below}`;
  }

  /** Returns its directory. */
  makeCgroup(below: string): string {
    const directory = join(this.#cgroup, below);
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** One command for actors/stage.c. */
  tell(...words: readonly (string | number)[]): void {
    this.#stage?.write(words.join(' '));
  }

  /** Until it says so. */
  told(line: string): Promise<void> {
    return this.#stage?.line(line) ?? Promise.reject(new Error('there is no stage'));
  }

  spawnDaemon(...args: readonly string[]): Daemon {
    this.#daemon = Daemon.spawn(this.#inside('device', [...POINTSMAN, '--root', this.root, 'up', '--keep', ...args]));
    return this.#daemon;
  }

  async startDaemon(...args: readonly string[]): Promise<Daemon> {
    const daemon = this.spawnDaemon(...args);
    await until('the daemon to be up', async () => {
      if (daemon.ending !== undefined) throw new Error(`it ended: ${daemon.ending}`);
      return daemon.output.includes('control socket') && (await this.status()).state !== 'starting';
    }).catch((error: unknown) => {
      throw new Error(`the daemon did not come up\n${daemon.output}`, { cause: error });
    });
    return daemon;
  }

  #client(): ReturnType<typeof openClient> {
    return openClient(join(this.root, 'run/pointsman/pointsman.sock'));
  }

  status(): Promise<Status> {
    return this.#client().get<Status>('/v1/status');
  }

  async reload(): Promise<void> {
    await this.#client().post('/v1/reload');
  }

  /** Whoever has to be asked about has been answered: on a busy machine that takes seconds. */
  async nothingWaits(): Promise<void> {
    const [file = '', ...args] = this.#inside('device', ['cat', '/proc/self/net/netfilter/nfnetlink_queue']);
    await until('nothing to wait for an answer', () => {
      const text = execFileSync(file, args, { encoding: 'utf8' });
      return text.split('\n').every((line) => line === '' || Number(line.trim().split(/\s+/)[2]) === 0);
    });
  }

  /** All programs of rows, whatever they do. */
  killAll(): void {
    if (existsSync(this.#cgroup)) writeFileSync(join(this.#cgroup, 'cgroup.kill'), '1');
  }

  /** What programs could not do. */
  get complaints(): string {
    return this.#stage?.errors ?? '';
  }

  /** All packets are told after this. Throws where the other end could not keep up. */
  async endCounting(): Promise<void> {
    await this.#farEnd?.end();
    if (this.#missed !== 0) throw new Error(`the other end has missed ${this.#missed} packets`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ending = this.#stage?.end();
    this.killAll();
    await ending;
    if (this.#missed === undefined) await this.#farEnd?.end();
    if (this.#daemon?.ending === undefined) await this.#daemon?.kill();
    for (const part of ['device', 'net']) {
      try {
        ip('netns', 'del', `${this.name}-${part}`);
      } catch {
        // It was not made.
      }
    }
    removePinsOfGoneNamespaces();
    await removeCgroups(this.#cgroup);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

function batch(namespace: string, lines: readonly string[]): void {
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: lines.join('\n'), stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Who was killed is still in it for a moment. */
async function removeCgroups(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroups(join(directory, entry.name));
  }
  await until(`nobody to be in ${directory}`, () => {
    rmdirSync(directory);
    return true;
  });
}

/** A process that is spoken to in lines. */
class Lines {
  readonly #child: ChildProcess;
  readonly #awaited = new Map<string, () => void>();
  readonly #said = new Set<string>();
  readonly #ended: Promise<void>;
  #errors = '';

  constructor([file = '', ...args]: readonly string[], onLine: (line: string) => void) {
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    let rest = '';
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        onLine(line);
        const awaited = this.#awaited.get(line);
        this.#awaited.delete(line);
        if (awaited !== undefined) awaited();
        else if (!/^[PR] /.test(line)) this.#said.add(line);
      }
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#child.stdin?.on('error', () => undefined);
  }

  write(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Resolves with the line, which may have been said before; rejects when the process ends, or after a minute. */
  async line(line: string): Promise<void> {
    if (this.#said.delete(line)) return;
    const isSaid = new Promise<true>((resolve) => this.#awaited.set(line, () => resolve(true)));
    const isOver = this.#ended.then(() => false);
    const isLate = delay(60_000, false, { ref: false });
    if (!(await Promise.race([isSaid, isOver, isLate]))) throw new Error(`"${line}" was not said\n${this.#errors}`);
  }

  /** What it complained of. */
  get errors(): string {
    return this.#errors;
  }

  /** By the end of its input; what is written until then has been read when this resolves. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    const isLate = delay(10_000, true, { ref: false });
    if (await Promise.race([this.#ended.then(() => false), isLate])) {
      this.#child.kill('SIGKILL');
      await this.#ended;
    }
  }
}
