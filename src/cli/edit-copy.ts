/** An editor on a copy that nobody else can see or change: what it leaves is looked at before it counts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

/** sh(1) ends so where it finds no such command. */
const NOT_FOUND = 127;
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
  #isKept = false;

  /** `name`: of the file, so that editors know what it is. */
  constructor(name: string, text: Uint8Array) {
    this.#directory = mkdtempSync(join(tmpdir(), 'pointsman-edit-'));
    this.path = join(this.#directory, name);
    writeFileSync(this.path, text, { mode: 0o600 });
  }

  /** What the editor leaves. Throws CliError where it does not end well. */
  edit(env: Readonly<Record<string, string | undefined>>): Uint8Array {
    const command = editorCommand(env);
    const { status, signal, error } = spawnSync('/bin/sh', ['-c', `${command} "$@"`, 'editor', this.path], {
      stdio: 'inherit',
    });
    const how = error?.message ?? (signal === null ? `exit code ${status}` : signal);
    const hint = 'set EDITOR, as in: sudo EDITOR=nano pointsman edit APP';
    if (status === NOT_FOUND) throw new CliError(EXIT.missing, `there is no such editor: ${command}`, { hint });
    if (status !== 0) throw new CliError(EXIT.failed, `the editor did not end well (${how}): nothing is changed`);
    return readFileSync(this.path);
  }

  /** It is not removed. */
  keep(): void {
    this.#isKept = true;
  }

  [Symbol.dispose](): void {
    if (!this.#isKept) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Whether somebody who can be asked wants to go on; nobody else does. */
export async function wantsToEditAgain(): Promise<boolean> {
  if (process.stdin.isTTY !== true) return false;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question('Edit again (e), or discard (d)? [e] ');
    return !answer.trim().toLowerCase().startsWith('d');
  } finally {
    asking.close();
  }
}
