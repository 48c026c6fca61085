/** Two namespaces with two uplinks between them, IPv4 and IPv6, a server beyond, and the real daemon in the first. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Status } from '../../../src/api/status.ts';
import { removePinsOfGoneNamespaces } from '../../../src/kernel/bpf/pin-directory.ts';
import { nodeCommand } from '../../../src/kernel/node-command.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const REPOSITORY = join(HERE, '../../..');
const PYTHON = realpathSync('/usr/bin/python3');
const PORTS = ['7', '80', '81', '82', '83', '84'];
/** Also on an emulated machine. */
const START_TIMEOUT_MS = 60_000;

export const SERVER4 = '203.0.113.9';
export const SERVER6 = '2001:db8::9';
/** What the server sees of a flow by the first and by the second uplink. */
export const FIRST = { v4: '10.9.1.2', v6: 'fd09:1::2' };
export const SECOND = { v4: '10.9.2.2', v6: 'fd09:2::2' };

const tag = `pmd${process.pid}`;
export const DEVICE: string = `${tag}-device`;
export const NET: string = `${tag}-net`;

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** The output of a command in the device's namespace. */
export function inDevice(command: string, ...args: readonly string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${DEVICE}`, command, ...args], { encoding: 'utf8' });
}

const SYSCTLS = ['all/disable_ipv6', 'default/disable_ipv6', 'default/accept_dad'];
const WRITE_ZERO = 'for name; do echo 0 > "/proc/sys/net/ipv6/conf/$name"; done';

export function buildNetwork(): void {
  for (const namespace of [DEVICE, NET]) {
    ip('netns', 'add', namespace);
    execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'sh', '-c', WRITE_ZERO, 'sh', ...SYSCTLS]);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  for (const i of ['1', '2'])
    ip('-n', DEVICE, 'link', 'add', `u${i}`, 'type', 'veth', 'peer', 'name', `n${i}`, 'netns', NET);
  for (const i of ['1', '2']) {
    for (const [namespace, device, host] of [
      [DEVICE, `u${i}`, '2'],
      [NET, `n${i}`, '1'],
    ] as const) {
      ip('-n', namespace, 'addr', 'add', `10.9.${i}.${host}/24`, 'dev', device);
      ip('-n', namespace, 'addr', 'add', `fd09:${i}::${host}/64`, 'dev', device, 'nodad');
      ip('-n', namespace, 'link', 'set', device, 'up');
    }
    defaultRoutes(i);
  }
  ip('-n', NET, 'addr', 'add', `${SERVER4}/32`, 'dev', 'lo');
  ip('-n', NET, 'addr', 'add', `${SERVER6}/128`, 'dev', 'lo');
}

function defaultRoutes(i: string): void {
  const metric = i === '1' ? '100' : '700';
  ip('-n', DEVICE, 'route', 'add', 'default', 'via', `10.9.${i}.1`, 'dev', `u${i}`, 'metric', metric);
  ip('-n', DEVICE, '-6', 'route', 'add', 'default', 'via', `fd09:${i}::1`, 'dev', `u${i}`, 'metric', metric);
}

export function setUplink(i: '1' | '2', state: 'up' | 'down'): void {
  ip('-n', DEVICE, 'link', 'set', `u${i}`, state);
  if (state === 'down') return;
  // A device that goes down loses its IPv6 addresses and all its routes.
  ip('-n', DEVICE, 'addr', 'replace', `fd09:${i}::2/64`, 'dev', `u${i}`, 'nodad');
  defaultRoutes(i);
}

export function removeNetwork(): void {
  for (const namespace of [DEVICE, NET]) {
    try {
      ip('netns', 'del', namespace);
    } catch {
      // It was not made.
    }
  }
  // Of a daemon that was killed.
  removePinsOfGoneNamespaces();
}

function spawnIn(namespace: string, command: string, args: readonly string[]): ChildProcess {
  return spawn('nsenter', [`--net=/run/netns/${namespace}`, command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
}

export async function startServer(): Promise<ChildProcess> {
  const server = spawnIn(NET, PYTHON, [join(HERE, 'echo_server.py'), SERVER4, SERVER6, ...PORTS]);
  await firstLine(server);
  return server;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('close', (code) => reject(new Error(`ended with ${code} before its first line`)));
  });
}

/** A root directory with policies, and programs of their own to have policies about. */
export class Root {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'pmd-'));

  constructor() {
    for (const [i, type] of [
      ['1', 'wifi'],
      ['2', 'cellular'],
    ] as const) {
      this.write(
        `etc/pointsman/uplinks/${type}.yaml`,
        `pointsman: 1\nuplink: ${type}\ndevice: u${i}\ntype: ${type}\npriority: ${i}\nprobe: off\n`,
      );
    }
  }

  write(path: string, text: string): void {
    const file = join(this.dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** `body` is what follows `match`. */
  policy(app: string, body: string, program = this.program(app)): void {
    this.write(
      `etc/pointsman/policies/${app}.yaml`,
      `pointsman: 1\napp: ${app}\nmatch: [{ exec: ${program} }]\n${body}`,
    );
  }

  /** A copy of the interpreter: another executable, so another application. */
  program(app: string): string {
    const path = join(this.dir, 'bin', app);
    mkdirSync(dirname(path), { recursive: true });
    try {
      copyFileSync(PYTHON, path, 1);
    } catch {
      // It has been copied already.
    }
    return path;
  }

  removeFile(path: string): void {
    rmSync(join(this.dir, path), { force: true });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** One exchange of an application's program: the address that the server saw, or an error's name. */
export async function once(root: Root, app: string, kind: string, host: string, port: number): Promise<string> {
  return await firstLine(spawnIn(DEVICE, root.program(app), [join(HERE, 'client.py'), kind, host, `${port}`]));
}

/** A program that keeps one socket. */
export class HeldSocket {
  readonly #child: ChildProcess;
  #lines: string[] = [];
  #waiting: ((line: string) => void)[] = [];
  #rest = '';

  constructor(root: Root, app: string, kind: string, host: string, port: number) {
    this.#child = spawnIn(DEVICE, root.program(app), [join(HERE, 'client.py'), 'hold', kind, host, `${port}`]);
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#take(chunk.toString()));
    this.#child.once('close', () => this.#take('ended\n'));
    this.#child.stdin?.on('error', () => undefined);
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const resolve = this.#waiting.shift();
      if (resolve === undefined) this.#lines.push(line);
      else resolve(line);
    }
  }

  line(): Promise<string> {
    const line = this.#lines.shift();
    return line === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(line);
  }

  exchange(): Promise<string> {
    this.#child.stdin?.write('x\n');
    return this.line();
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

export class DaemonProcess {
  readonly root: Root;
  readonly #child: ChildProcess;
  #log = '';
  readonly ended: Promise<number | null>;

  private constructor(root: Root, args: readonly string[]) {
    this.root = root;
    const [node = '', ...program] = nodeCommand(join(REPOSITORY, 'dist/main/pointsman.js'));
    this.#child = spawnIn(DEVICE, node, [...program, '--root', root.dir, 'up', ...args]);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the daemon could not be started');
    return this.#child.pid;
  }

  static async start(
    root: Root,
    args: readonly string[] = [],
    timeoutMs: number = START_TIMEOUT_MS,
  ): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(root, args);
    const deadlineMs = Date.now() + timeoutMs;
    while (!daemon.#log.includes('control socket')) {
      if (daemon.#child.exitCode !== null || Date.now() > deadlineMs)
        throw new Error(`the daemon did not start:\n${daemon.#log}`);
      await pause();
    }
    return daemon;
  }

  /** For starts that are expected to be refused. */
  static async refused(root: Root): Promise<{ readonly code: number | null; readonly log: string }> {
    const daemon = new DaemonProcess(root, []);
    return { code: await daemon.ended, log: daemon.log };
  }

  signal(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }

  ask<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const socketPath = join(this.root.dir, 'run/pointsman/pointsman.sock');
    return new Promise((resolve, reject) => {
      // Each with a connection of its own: the daemon ends one that is idle, and a test that was busy meanwhile has not heard of it.
      const asking = request({ socketPath, method, path, agent: false }, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        answer.on('end', () => resolve(JSON.parse(text) as T));
      });
      asking.on('error', reject);
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  status(): Promise<Status> {
    return this.ask<Status>('GET', '/v1/status');
  }

  /** The files as they are now are in force when this resolves. */
  async reload(): Promise<void> {
    await this.ask('POST', '/v1/reload');
  }
}

export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** Packets that the kernel holds for the daemon. */
export const heldPackets = (): number => {
  const text = inDevice('cat', '/proc/self/net/netfilter/nfnetlink_queue');
  return text === '' ? 0 : Number(text.trim().split(/\s+/)[2]);
};

/** Until the condition holds; what it was then. Rejects after a time in which it must. */
export async function eventually<T>(look: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (Date.now() > deadlineMs) throw new Error(`it did not come about; last seen: ${JSON.stringify(value)}`);
    await pause();
  }
}
