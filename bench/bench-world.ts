/**
 * The world of a run: one server, and clients that each have two ways to it. Every client is a network namespace of its
 * own with one state for the whole run, so that states are compared by turns and nothing is rebuilt in between.
 *
 *   client  main --- 10.77.N.0/24 ---.
 *           second - 10.78.N.0/24 --- server (203.0.113.1)
 */
import { existsSync, readdirSync } from 'node:fs';
import { type BackgroundProgram, runProgram, startProgram } from './programs.ts';

export const SERVER_ADDRESS = '203.0.113.1';
export const SERVER_NETWORK = '203.0.113.0/24';
export const CONNECT_PORT = 9000;
export const STREAM_PORT = 9001;

/** `main` is where the system's default route goes. */
export const UPLINKS = [
  { name: 'main', type: 'ethernet', network: 77, metric: 100 },
  { name: 'second', type: 'cellular', network: 78, metric: 200 },
] as const;

const NAME_PREFIX = 'pmbench';
const WORLD_NAME = /^pmbench-(\d+)-/;
const NETNS_DIR = '/run/netns';
/** `10.77.N.0/24`. */
const MAX_CLIENTS = 254;

export interface Client {
  readonly name: string;
  /** The command line that runs a command here; its pid is the command's. */
  inside(command: readonly string[]): readonly string[];
}

/** Made for this process, gone when disposed of. */
export class BenchWorld implements AsyncDisposable {
  readonly server: Client;
  readonly #namespaces: string[] = [];
  readonly #programs: BackgroundProgram[] = [];
  #clients = 0;

  private constructor() {
    this.server = this.#client('server');
  }

  static async make(): Promise<BenchWorld> {
    const world = new BenchWorld();
    try {
      await world.#add('server');
      await run(['ip', '-n', namespaceName('server'), 'address', 'add', `${SERVER_ADDRESS}/32`, 'dev', 'lo']);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `name`: letters and digits. */
  async addClient(name: string): Promise<Client> {
    this.#clients += 1;
    if (this.#clients > MAX_CLIENTS) throw new RangeError(`more than ${MAX_CLIENTS} clients`);
    await this.#add(name);
    const [here, there, n] = [namespaceName(name), namespaceName('server'), this.#clients];
    const commands = UPLINKS.flatMap(({ name: device, network, metric }) => [
      ['ip', '-n', here, 'link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}${n}`, 'netns', there],
      ['ip', '-n', here, 'address', 'add', `10.${network}.${n}.2/24`, 'dev', device],
      ['ip', '-n', here, 'link', 'set', device, 'up'],
      ['ip', '-n', there, 'address', 'add', `10.${network}.${n}.1/24`, 'dev', `${device}${n}`],
      ['ip', '-n', there, 'link', 'set', `${device}${n}`, 'up'],
      ['ip', '-n', here, 'route', 'add', 'default', 'via', `10.${network}.${n}.1`, 'metric', `${metric}`],
    ]);
    for (const command of commands) await run(command);
    return this.#client(name);
  }

  /** Runs until the world ends. Resolves once the program says that it listens. */
  async start(client: Client, command: readonly string[]): Promise<BackgroundProgram> {
    const program = startProgram(client.inside(command));
    this.#programs.push(program);
    await program.line(/^listening$/);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program.stop();
    for (const namespace of this.#namespaces) await removeNamespace(namespace);
  }

  #client(name: string): Client {
    const prefix = ['nsenter', `--net=${NETNS_DIR}/${namespaceName(name)}`, '--'];
    return { name, inside: (command) => [...prefix, ...command] };
  }

  async #add(name: string): Promise<void> {
    const namespace = namespaceName(name);
    this.#namespaces.push(namespace);
    await run(['ip', 'netns', 'add', namespace]);
    await run(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
    // Replies come in by the way the flow took, which need not be the way back by the system's routes.
    const settings = { 'conf/all/rp_filter': '0', 'conf/default/rp_filter': '0', ip_local_port_range: '1024 65535' };
    for (const [key, value] of Object.entries(settings)) {
      await run([...this.#client(name).inside(['tee', `/proc/sys/net/ipv4/${key}`])], value);
    }
  }
}

function namespaceName(name: string): string {
  return `${NAME_PREFIX}-${process.pid}-${name}`;
}

/** What is left of worlds whose process, told by its pid, is to have none. */
export async function removeWorlds(isOver: (pid: number) => boolean): Promise<void> {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR) : [];
  for (const name of names) {
    const [, pid] = WORLD_NAME.exec(name) ?? [];
    if (pid !== undefined && isOver(Number(pid))) await removeNamespace(name);
  }
}

/** With the programs in it: without them it would live on unnamed. */
async function removeNamespace(namespace: string): Promise<void> {
  const { stdout } = await runProgram(['ip', 'netns', 'pids', namespace]);
  for (const pid of stdout.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Gone by itself.
    }
  }
  await runProgram(['ip', 'netns', 'delete', namespace]);
}

/** Throws where the command fails. */
async function run(command: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = await runProgram(command, { input });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.trim() || `status ${status}`}`);
  return stdout;
}
