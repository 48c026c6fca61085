/** A process of its own that holds socket marks: holder.mjs, with the compiled kernel layer. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
const SCRIPT = fileURLToPath(new URL('./holder.mjs', import.meta.url));

/** Brings `dist/kernel` up to date. */
export async function buildKernelLayer(): Promise<void> {
  const tsc = ['node_modules/typescript/bin/tsc', '-b', 'src/kernel'];
  try {
    await promisify(execFile)(process.execPath, tsc, { cwd: CHECKOUT });
  } catch (error) {
    throw new Error(`it does not build\n${(error as { readonly stdout?: string }).stdout ?? ''}`, { cause: error });
  }
}

export class Holder {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  /** `wrap` stands before the command, and must exec it. It inherits the network namespace of the calling thread. */
  constructor(wrap: readonly string[], cgroupMountDir: string, file: string) {
    const [program = '', ...args] = [...wrap, process.execPath, '--no-warnings', SCRIPT, cgroupMountDir, file];
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The one line that it says. */
  async said(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`it said nothing\n${this.#errors}`);
    return JSON.parse(value) as Readonly<Record<string, unknown>>;
  }

  /** SIGKILL: no time for last words. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
