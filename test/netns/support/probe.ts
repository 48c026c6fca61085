/** Drives probe.py: an unmodified program whose sockets outlive what happens to the network. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./probe.py', import.meta.url));

export type SocketKind = 'tcp' | 'udp-connected' | 'udp';

export interface OpenSocket {
  readonly id: string;
  readonly kind: SocketKind;
  readonly host: string;
  readonly port: number;
  readonly timeoutMs?: number;
  /** SO_MARK, needs root. */
  readonly mark?: number;
}

/** `error`: the errno's name, or `timeout`. */
export type ProbeAnswer =
  | { readonly ok: true; readonly echoed?: boolean; readonly port?: number; readonly [count: string]: unknown }
  | { readonly ok: false; readonly error: string };

export class Probe implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((answer: ProbeAnswer) => void)[] = [];
  #errors = '';

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
  }

  /** `python` is the executable that the policy names, with what goes before it, such as setpriv. */
  static start(device: Device, python: readonly string[]): Probe {
    const [file = '', ...args] = device.inside([...python, SCRIPT]);
    return new Probe(spawn(file, args));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  open(socket: OpenSocket): Promise<ProbeAnswer> {
    return this.#ask({ op: 'open', ...socket });
  }

  /** One byte there and back. */
  echo(id: string, timeoutMs = 3000): Promise<ProbeAnswer> {
    return this.#ask({ op: 'echo', id, timeoutMs });
  }

  /** What a program hears that sends nothing and waits: `timeout` where nothing has happened to its socket. */
  wait(id: string, timeoutMs: number): Promise<ProbeAnswer> {
    return this.#ask({ op: 'wait', id, timeoutMs });
  }

  /** Opens, and sends one byte there and back. */
  async openAndEcho(socket: OpenSocket): Promise<ProbeAnswer> {
    const opened = await this.open(socket);
    return opened.ok ? this.echo(socket.id, socket.timeoutMs) : opened;
  }

  /** Keeps sending in the background until `endStream`. */
  stream(id: string, everyMs: number): Promise<ProbeAnswer> {
    return this.#ask({ op: 'stream', id, everyMs });
  }

  /** Keeps beginning new flows in the background until `endStream`. */
  churn(socket: OpenSocket): Promise<ProbeAnswer> {
    return this.#ask({ op: 'churn', ...socket });
  }

  counts(id: string): Promise<ProbeAnswer> {
    return this.#ask({ op: 'counts', id });
  }

  endStream(id: string): Promise<ProbeAnswer> {
    return this.#ask({ op: 'end_stream', id });
  }

  localPort(id: string): Promise<ProbeAnswer> {
    return this.#ask({ op: 'local_port', id });
  }

  close(id: string): Promise<ProbeAnswer> {
    return this.#ask({ op: 'close', id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(request: object): Promise<ProbeAnswer> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new Error(`the probe died\n${this.#errors}`));
      this.#child.once('close', died);
      this.#waiting.push((answer) => {
        this.#child.off('close', died);
        resolve(answer);
      });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }
}
