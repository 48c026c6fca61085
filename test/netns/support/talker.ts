/** Drives talk.py: a program on the device or on another host that connects and listens when it is told to. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./talk.py', import.meta.url));

export interface TalkAnswer {
  readonly ok: boolean;
  /** The errno's name, or `TimeoutError`. */
  readonly error?: string;
  /** getsockname(2) after connect(2). */
  readonly own?: string;
  readonly id?: number;
}

export class Talker implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((answer: TalkAnswer) => void)[] = [];
  #errors = '';

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
  }

  /** `enter`: the command line that leads from a command to the place where it runs. */
  static start(enter: (command: readonly string[]) => readonly string[], python: readonly string[]): Talker {
    const [file = '', ...args] = enter([...python, SCRIPT]);
    return new Talker(spawn(file, args));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** One byte there and back. */
  connect(kind: 'tcp' | 'udp', host: string, port: number): Promise<TalkAnswer> {
    return this.#ask({ op: 'connect', kind, host, port });
  }

  /** Echoes, on all addresses of both families. */
  listen(kind: 'tcp' | 'udp', port: number): Promise<TalkAnswer> {
    return this.#ask({ op: 'listen', kind, port });
  }

  /** Opens a TCP connection that stays; `ask` uses it. */
  hold(host: string, port: number): Promise<TalkAnswer> {
    return this.#ask({ op: 'hold', host, port });
  }

  /** Sends to everybody who is connected to its listeners. */
  push(): Promise<TalkAnswer> {
    return this.#ask({ op: 'push' });
  }

  ask(number: number): Promise<TalkAnswer> {
    return this.#ask({ op: 'ask', number });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(request: object): Promise<TalkAnswer> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new Error(`the program died\n${this.#errors}`));
      this.#child.once('close', died);
      this.#waiting.push((answer) => {
        this.#child.off('close', died);
        resolve(answer);
      });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }
}
