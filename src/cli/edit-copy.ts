/** An editor on a copy that nobody else can see or change: what it leaves is looked at before it counts. */
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { errorText, readSourceFile } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

/** sh(1) ends so where it finds no such command. */
const NOT_FOUND = 127;
const PREFIX = 'pointsman-edit-';
const FALLBACKS = ['editor', 'nano', 'vi'];

/** What is started: the person's choice as sudoedit(8) reads it, or what is there. */
export function editorCommand(env: Readonly<Record<string, string | undefined>>): string {
  const chosen = [env.SUDO_EDITOR, env.VISUAL, env.EDITOR].find((value) => (value ?? '') !== '');
  return (
    chosen ??
    `sh -c 'for one in ${FALLBACKS.join(' ')}; do command -v $one >/dev/null && exec $one "$@"; done; exit ${NOT_FOUND}' editor`
  );
}

export class EditedCopy implements Disposable {
  readonly path: string;
  readonly #directory: string;
  readonly #before: Uint8Array;
  #isDone = false;

  /** `name`: of the file, so that editors know what it is. Throws CliError where there is no room for it. */
  constructor(name: string, text: Uint8Array) {
    this.#before = text;
    try {
      this.#directory = mkdtempSync(join(tmpdir(), PREFIX));
      this.path = join(this.#directory, name);
      writeFileSync(this.path, text, { mode: 0o600 });
    } catch (error) {
      throw new CliError(EXIT.failed, `no copy to edit can be made in ${tmpdir()}: ${errorText(error)}`, {
        cause: error,
        hint: 'TMPDIR says where: sudo TMPDIR=/root pointsman edit APP',
      });
    }
  }

  /** What the editor leaves. Throws CliError where it does not end well, or leaves no file. */
  edit(env: Readonly<Record<string, string | undefined>>): Uint8Array {
    const command = editorCommand(env);
    const { status, signal, error } = whileInterruptsAreTheEditors(() =>
      spawnSync('/bin/sh', ['-c', `${command} "$@"`, 'editor', this.path], { stdio: 'inherit' }),
    );
    const how = error?.message ?? (signal === null ? `exit code ${status}` : signal);
    const hint = 'set EDITOR, as in: sudo EDITOR=nano pointsman edit APP';
    if (status === NOT_FOUND) throw new CliError(EXIT.missing, `there is no such editor: ${command}`, { hint });
    if (status !== 0) throw new CliError(EXIT.failed, `the editor did not end well (${how}): nothing is changed`);
    const left = readSourceFile(this.path);
    if (left.kind === 'read') return left.bytes;
    const what = left.kind === 'refused' ? `a file that cannot be read (${left.because})` : 'no file';
    throw new CliError(EXIT.failed, `the editor has left ${what}: nothing is changed`);
  }

  /** What is in it is wanted no more, or has become the file. */
  done(): void {
    this.#isDone = true;
  }

  /** Where the person finds what he wrote; undefined where he wrote nothing, or is done with it. */
  get kept(): string | undefined {
    if (this.#isDone) return undefined;
    const left = readSourceFile(this.path);
    if (left.kind === 'refused') return this.path;
    if (left.kind === 'read' && Buffer.compare(left.bytes, this.#before) !== 0) return this.path;
    // Editors that are ended save elsewhere: x.yaml.save, .x.yaml.swp
    return namesIn(this.#directory).some((name) => name !== basename(this.path)) ? this.#directory : undefined;
  }

  [Symbol.dispose](): void {
    if (this.kept === undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Copies of this file that nobody finished, as when the terminal went, oldest first; only one's own. */
export function earlierCopies({
  name,
  bytes,
}: {
  readonly name: string;
  readonly bytes: Uint8Array;
}): readonly string[] {
  const own = namesIn(tmpdir())
    .filter((one) => one.startsWith(PREFIX))
    .map((one) => lstat(join(tmpdir(), one)))
    .filter((one) => one !== undefined)
    .filter(({ stats }) => stats.isDirectory() && stats.uid === process.geteuid?.())
    .sort((a, b) => a.stats.mtimeMs - b.stats.mtimeMs);
  return own
    .map(({ path }) => join(path, name))
    .filter((path) => {
      const file = readSourceFile(path);
      return file.kind === 'read' && Buffer.compare(file.bytes, bytes) !== 0;
    });
}

function lstat(path: string): { readonly path: string; readonly stats: Stats } | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : { path, stats };
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Ignoring it: where nothing can be listed there is nothing to name.
    return [];
  }
}

/** The terminal sends Ctrl-C to all that run in it; what it means while an editor has the terminal is the editor's affair. */
function whileInterruptsAreTheEditors<T>(work: () => T): T {
  const ignore = (): void => undefined;
  for (const signal of INTERRUPTS) process.on(signal, ignore);
  try {
    return work();
  } finally {
    for (const signal of INTERRUPTS) process.off(signal, ignore);
  }
}

const INTERRUPTS = ['SIGINT', 'SIGQUIT'] as const;

/** Rejects with CliError where the person does not wait for it. */
export async function orInterrupted<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = deferred();
  const stop = (): void =>
    reject(
      new CliError(EXIT.failed, 'interrupted: whether the new policy is in force is not known', {
        hint: 'sudo pointsman status',
      }),
    );
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await Promise.race([work, promise]);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function deferred(): { readonly promise: Promise<never>; readonly reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, toReject) => {
    reject = toReject;
  });
  return { promise, reject };
}

export type AfterMistakes = 'edit' | 'keep' | 'discard';

/** A "no" to editing again is no word for throwing it away. */
const ANSWERS: Readonly<Record<AfterMistakes, readonly string[]>> = {
  edit: ['', 'e', 'edit', 'y', 'yes'],
  keep: ['k', 'keep', 'n', 'no', 'q', 'quit', 'x', 'exit'],
  discard: ['d', 'discard'],
};

/** What becomes of a copy with mistakes. Kept where nobody can be asked, or somebody ends it: Ctrl-C, Ctrl-D. */
export async function askAfterMistakes(): Promise<AfterMistakes> {
  if (process.stdin.isTTY !== true) return 'keep';
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  asking.setPrompt('Edit again (e), keep what you wrote for later (k), or discard it (d)? [e] ');
  return await new Promise((resolve) => {
    const end = (answer: AfterMistakes): void => {
      resolve(answer);
      asking.close();
    };
    asking
      .on('line', (line) => {
        const word = line.trim().toLowerCase();
        const meant = (['edit', 'keep', 'discard'] as const).find((one) => ANSWERS[one].includes(word));
        if (meant === undefined) asking.prompt();
        else end(meant);
      })
      .on('SIGINT', () => end('keep'))
      .on('close', () => {
        // Nothing has ended the line: Ctrl-C and Ctrl-D do not.
        process.stderr.write('\n');
        resolve('keep');
      })
      .prompt();
  });
}
