/** Drives asker.py: an unmodified program that looks names up and connects. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./asker.py', import.meta.url));

/** `error`: the errno's name, `timeout`, or getaddrinfo's code. */
export type AskerAnswer = { readonly ok: boolean; readonly error?: string; readonly [fact: string]: unknown };

export class Asker implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((answer: AskerAnswer) => void)[] = [];
  #errors = '';

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
  }

  /** `python` is the executable that the policy names, with what goes before it, such as setpriv. */
  static start(device: Device, python: readonly string[]): Asker {
    const [file = '', ...args] = device.inside([...python, SCRIPT]);
    return new Asker(spawn(file, args));
  }

  lookUp(name: string, family?: 4 | 6): Promise<AskerAnswer> {
    return this.#ask({ op: 'look_up', name, family });
  }

  connect(host: string, port: number): Promise<AskerAnswer> {
    return this.#ask({ op: 'connect_to', host, port });
  }

  lookUpAndConnect(name: string, port: number, times: number, family: 4 | 6): Promise<AskerAnswer> {
    return this.#ask({ op: 'look_up_and_connect', name, port, times, family });
  }

  /** From the address that the system chooses, and this port. */
  askFrom(port: number, name: string): Promise<AskerAnswer> {
    return this.#ask({ op: 'ask_from', port, name });
  }

  askByTcp(name: string): Promise<AskerAnswer> {
    return this.#ask({ op: 'ask_by_tcp', name });
  }

  measure(name: string, times: number, resolver?: string): Promise<AskerAnswer> {
    return this.#ask({ op: 'measure', name, times, resolver });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(request: object): Promise<AskerAnswer> {
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
