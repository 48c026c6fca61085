/** A program that is told what to do by one line of JSON on its standard input, and answers each with one on its standard output. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export abstract class AnsweringProgram<Answer> implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #errors = '';
  #hasEnded = false;

  protected constructor(command: readonly string[]) {
    const [file = '', ...args] = command;
    this.#child = spawn(file, args);
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#child.once('close', () => {
      this.#hasEnded = true;
    });
    // Whoever waits for an answer hears of its end.
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  protected request(what: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new Error(`the program died\n${this.#errors}`));
      if (this.#hasEnded) return died();
      this.#child.once('close', died);
      this.#waiting.push((answer) => {
        this.#child.off('close', died);
        resolve(answer);
      });
      this.#child.stdin.write(`${JSON.stringify(what)}\n`);
    });
  }
}
