/** Containers as a runtime leaves them: a scope of their id, a process in it with its own network namespace, a bridge, NAT. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openCgroupTree } from '../../../src/kernel/cgroup.ts';
import { DEVICE, inDevice, pause } from './world.ts';

const BRIDGE = 'br0';
const BRIDGE4 = '172.31.0.1';
const BRIDGE6 = 'fd31::1';
const PYTHON = realpathSync('/usr/bin/python3');
const CLIENT = join(import.meta.dirname, 'client.py');
const SERVER = join(import.meta.dirname, 'echo_server.py');
const REMOVAL_TRIES = 50;

export const HOST4 = BRIDGE4;

const ip = (...args: readonly string[]): void => {
  execFileSync('ip', args);
};

/** The bridge, with addresses translated by whoever made it: a table of others. */
export function buildBridge(): void {
  // Where it is no module, it is there.
  inDevice('sh', '-c', 'modprobe br_netfilter || test -d /proc/sys/net/bridge');
  inDevice('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
  ip('-n', DEVICE, 'link', 'add', BRIDGE, 'type', 'bridge');
  ip('-n', DEVICE, 'addr', 'add', `${BRIDGE4}/24`, 'dev', BRIDGE);
  ip('-n', DEVICE, 'addr', 'add', `${BRIDGE6}/64`, 'dev', BRIDGE, 'nodad');
  ip('-n', DEVICE, 'link', 'set', BRIDGE, 'up');
  const masquerade = 'type nat hook postrouting priority 100; }';
  const outside = `oifname != "${BRIDGE}" masquerade`;
  for (const line of [
    'add table inet runtime',
    `add chain inet runtime post { ${masquerade}`,
    `add rule inet runtime post ip saddr 172.31.0.0/24 ${outside}`,
    `add rule inet runtime post ip6 saddr fd31::/64 ${outside}`,
  ])
    inDevice('nft', line);
}

/** Whether packets from one port of a bridge to another, and to this machine, pass netfilter's IP hooks in the bridge. */
export function setBridgeNetfilter(isOn: boolean): void {
  for (const tables of ['iptables', 'ip6tables'])
    inDevice('sh', '-c', `echo ${isOn ? 1 : 0} > /proc/sys/net/bridge/bridge-nf-call-${tables}`);
}

export class Container {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly v4: string;
  readonly v6: string;
  readonly #namespace: string;
  readonly #device: string;
  readonly #scope: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string, host: number) {
    this.id = createHash('sha256').update(`${DEVICE} ${name}`).digest('hex');
    this.#namespace = `${DEVICE}-${name}`;
    this.#device = `ve-${name}`;
    this.v4 = `172.31.0.${host}`;
    this.v6 = `fd31::${host}`;
    const tree = openCgroupTree();
    if (tree === undefined) throw new Error('no cgroup2 here');
    this.#scope = join(tree.mountDir, `docker-${this.id}.scope`);
  }

  start(): void {
    ip('netns', 'add', this.#namespace);
    this.#run('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up');
    mkdirSync(this.#scope);
    this.#enter(this.#spawn('sleep', '600'));
    this.connect();
  }

  /** A pair of devices, of which the one on the bridge always has the same name. */
  connect(): void {
    ip('-n', DEVICE, 'link', 'add', this.#device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#namespace);
    ip('-n', DEVICE, 'link', 'set', this.#device, 'master', BRIDGE, 'up');
    const inside = (...args: readonly string[]): void => ip('-n', this.#namespace, ...args);
    inside('addr', 'add', `${this.v4}/24`, 'dev', 'eth0');
    inside('addr', 'add', `${this.v6}/64`, 'dev', 'eth0', 'nodad');
    inside('link', 'set', 'eth0', 'up');
    inside('route', 'add', 'default', 'via', BRIDGE4);
    inside('-6', 'route', 'add', 'default', 'via', BRIDGE6);
  }

  disconnect(): void {
    ip('-n', DEVICE, 'link', 'del', this.#device);
  }

  /** One exchange: the address that the server saw, or an error's name. */
  once(kind: string, host: string, port: number): Promise<string> {
    return lineOf(this.#spawn(PYTHON, CLIENT, kind, host, `${port}`));
  }

  /** One socket; each call of the result is an exchange. */
  async hold(kind: string, host: string, port: number): Promise<{ first: string; again: () => Promise<string> }> {
    const child = this.#spawn(PYTHON, CLIENT, 'hold', kind, host, `${port}`);
    if (child.stdout === null || child.stdin === null) throw new Error('no pipes');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => String((await lines.next()).value);
    const { stdin } = child;
    stdin.on('error', () => undefined);
    return {
      first: await line(),
      again: () => {
        stdin.write('x\n');
        return line();
      },
    };
  }

  async serve(port: number): Promise<void> {
    await lineOf(this.#spawn(PYTHON, SERVER, this.v4, this.v6, `${port}`));
  }

  pings(host: string): boolean {
    try {
      this.#run('ping', '-c1', '-W1', host);
      return true;
    } catch {
      return false;
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    try {
      ip('netns', 'del', this.#namespace);
    } catch {
      // It was not made.
    }
    for (let i = 0; existsSync(this.#scope) && i < REMOVAL_TRIES; i += 1) {
      if (readFileSync(join(this.#scope, 'cgroup.procs'), 'utf8') === '') return rmdirSync(this.#scope);
      await pause();
    }
  }

  #run(...command: readonly string[]): void {
    execFileSync('nsenter', [`--net=/run/netns/${this.#namespace}`, ...command]);
  }

  #spawn(...command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.#namespace}`, ...command], { stdio: 'pipe' });
    this.#children.push(child);
    return child;
  }

  #enter({ pid }: ChildProcess): void {
    writeFileSync(join(this.#scope, 'cgroup.procs'), `${pid}`);
  }
}

/** A server of this machine's own. */
export async function serveHere(port: number): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, PYTHON, SERVER, BRIDGE4, BRIDGE6, `${port}`]);
  await lineOf(child);
  return child;
}

function lineOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('close', (code) => reject(new Error(`ended with ${code} before its first line`)));
  });
}
