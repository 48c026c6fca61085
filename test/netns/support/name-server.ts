/** Drives name-server.py: a name server at the far end of a link, and what it was asked. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./name-server.py', import.meta.url));

export class NameServer implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  #asked: string[] = [];

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
  }

  /** `enter`: the command line that leads from a command to the place where it runs. */
  static async start(
    enter: (command: readonly string[]) => readonly string[],
    addresses: readonly string[],
  ): Promise<NameServer> {
    const [file = '', ...args] = enter(['/usr/bin/python3', SCRIPT, ...addresses]);
    const server = new NameServer(spawn(file, args));
    let errors = '';
    server.#child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const lines = createInterface({ input: server.#child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.once('line', () => resolve());
      server.#child.once('close', () => reject(new Error(`the name server died\n${errors}`)));
    });
    lines.on('line', (line) => server.#asked.push(line));
    return server;
  }

  /** "PROTOCOL CLIENT NAME TYPE" of each query since the last time, for names that begin so. */
  asked(prefix: string): readonly string[] {
    const asked = this.#asked.filter((line) => line.split(' ')[2]?.startsWith(prefix));
    this.#asked = this.#asked.filter((line) => !asked.includes(line));
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
