/** Drives agent.py: a program that makes sockets, forks and starts other programs, and says what came of it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openCgroupTree } from '../../../src/kernel/cgroup.ts';
import { openProc } from '../../../src/kernel/proc.ts';
import type { MadeSocket, MarkedProcess } from '../../contract/socket-marks-contract.ts';

/** Those of another user need a copy of it. */
export const AGENT_SCRIPT: string = fileURLToPath(new URL('./agent.py', import.meta.url));

/** socket(2)'s numbers. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;

export interface WantedSocket {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  /** SO_MARK that the program sets itself; `mark` is what it reads then. */
  readonly ownMark?: number;
  /** It stays open. */
  readonly keep?: boolean;
}

interface Answer {
  readonly error?: string;
  readonly pid?: number;
  readonly startTicks?: number;
  readonly mark?: number;
  readonly cookie?: string;
}

/** One process of a tree of them; requests to children go through their parents. */
export class Agent implements MarkedProcess, AsyncDisposable {
  readonly pid: number;
  readonly startTicks: number;
  readonly #root: Channel;
  readonly #via: readonly number[];
  #children = 0;

  private constructor(root: Channel, via: readonly number[], { pid, startTicks }: Answer) {
    if (pid === undefined || startTicks === undefined) throw new Error('the agent does not say who it is');
    this.#root = root;
    this.#via = via;
    this.pid = pid;
    this.startTicks = startTicks;
  }

  /** `python` runs the script; what stands before it must exec. */
  static async start(python: readonly string[], script: string = AGENT_SCRIPT): Promise<Agent> {
    const [file = '', ...args] = [...python, '-I', '-S', script];
    const root = new Channel(spawn(file, args));
    return new Agent(root, [], await root.answer());
  }

  get cgroupId(): bigint {
    const path = openProc().cgroup(this.pid);
    const id = path === undefined ? undefined : openCgroupTree()?.idOfPath(path);
    if (id === undefined) throw new Error(`process ${this.pid} has no cgroup`);
    return id;
  }

  makeSocket(family: 4 | 6): Promise<MadeSocket> {
    return this.socket({ family: family === 4 ? AF_INET : AF_INET6, type: SOCK_DGRAM, protocol: 0 });
  }

  async socket(wanted: WantedSocket, operation: 'socket' | 'socket_in_thread' = 'socket'): Promise<MadeSocket> {
    const { mark, cookie } = await this.#ask({ op: operation, ownMark: undefined, keep: false, ...wanted });
    if (mark === undefined || cookie === undefined) throw new Error('no socket');
    // Python reads an int.
    return { mark: mark >>> 0, cookie: BigInt(cookie) };
  }

  async fork(): Promise<Agent> {
    const via = [...this.#via, this.#children];
    this.#children += 1;
    return new Agent(this.#root, via, await this.#ask({ op: 'fork' }));
  }

  async exec(path: string): Promise<void> {
    await this.#ask({ op: 'exec', file: path });
  }

  /** Its own interpreter again, from a memory file. */
  async execMemoryFile(): Promise<void> {
    await this.#ask({ op: 'exec_memory' });
  }

  async end(): Promise<void> {
    if (this.#via.length === 0) return this.#root.end();
    await this.#root.ask({ op: 'end_child', via: this.#via.slice(0, -1), child: this.#via.at(-1) });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#root.end();
  }

  async #ask(request: object): Promise<Answer> {
    return this.#root.ask({ ...request, via: this.#via });
  }
}

/** A process that answers line by line, in order. */
class Channel {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    // Whoever waits for an answer hears of its end.
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async answer(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the agent ended\n${this.#errors}`);
    const answer = JSON.parse(value) as Answer;
    if (answer.error !== undefined) throw new Error(`the agent: ${answer.error}`);
    return answer;
  }

  ask(request: object): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.answer();
  }

  /** SIGKILL; children end when their parent's pipe does. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
