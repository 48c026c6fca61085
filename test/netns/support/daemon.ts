/** One daemon process: started, watched, ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 60_000;

export class Daemon {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #ending: string | undefined;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#ending = signal ?? `exit code ${code}`;
        resolve(this.#ending);
      });
    });
  }

  static spawn([file = '', ...args]: readonly string[]): Daemon {
    return new Daemon(spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' }));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the daemon could not be started');
    return this.#child.pid;
  }

  /** Undefined while it runs; then `exit code N` or the signal. */
  get ending(): string | undefined {
    return this.#ending;
  }

  get output(): string {
    return this.#output;
  }

  /** SIGKILL: no time for last words. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** SIGTERM, and how it ended. */
  stop(): Promise<string> {
    this.#child.kill('SIGTERM');
    return this.ended();
  }

  async ended(): Promise<string> {
    const late = delay(STOP_TIMEOUT_MS, undefined, { ref: false });
    const ending = await Promise.race([this.#ended, late]);
    if (ending === undefined) throw new Error(`the daemon does not end\n${this.#output}`);
    return ending;
  }
}
