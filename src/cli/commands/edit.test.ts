/** `edit` at a terminal: whatever is pressed there, and however the editor ends, what somebody wrote is not lost. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeCommand } from '../../kernel/node-command.ts';

const isRoot = process.geteuid?.() === 0;
const PROGRAM = nodeCommand(fileURLToPath(new URL('../../../dist/main/pointsman.js', import.meta.url)));
const QUESTION = 'or discard it (d)?';
const WRITTEN = 'pointsman: 1\napp: org.example.Mail\nmatch:\n  - exec: /usr/bin/mutt\nothewise: deny\n';

let root: string;
let tmp: string;

beforeEach(() => {
  // Not below /tmp: whoever can change a directory above a file is not believed.
  root = mkdtempSync('/run/pointsman-edit-command-');
  tmp = join(root, 'tmp');
  mkdirSync(join(root, 'etc/pointsman/policies'), { recursive: true });
  mkdirSync(tmp);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function script(name: string, text: string): string {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** It writes a policy with a mistake, and counts how often it is started. */
const writes = (then = ''): string => {
  writeFileSync(join(root, 'text'), WRITTEN);
  return script('editor', `echo x >> ${root}/starts\ncat ${root}/text > "$1"\n${then}`);
};

const starts = (): number => readFileSync(join(root, 'starts'), 'utf8').split('x').length - 1;

interface Ended {
  readonly exitCode: number | null;
  readonly shown: string;
}

/** In a terminal of its own; each key is pressed when the question stands there again. */
async function edit(
  editor: string,
  { keys, atTerminal = true }: { keys: readonly string[]; atTerminal?: boolean },
): Promise<Ended> {
  const words = [...PROGRAM, '--root', root, 'edit', 'org.example.Mail'];
  const [program = '', ...args] = atTerminal ? ['script', '-qec', words.join(' '), '/dev/null'] : words;
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, TMPDIR: tmp, EDITOR: editor, TERM: 'dumb', SHELL: '/bin/sh' },
    stdio: 'pipe',
  });
  let shown = '';
  let asked = 0;
  const look = (chunk: Buffer): void => {
    shown += chunk.toString();
    for (; asked < shown.split(QUESTION).length - 1; asked += 1) child.stdin.write(keys[asked] ?? '');
  };
  child.stdout.on('data', look);
  child.stderr.on('data', look);
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  child.stdin.end();
  return { exitCode, shown: shown.replaceAll('\r\n', '\n') };
}

/** Where `shown` says that what was written is. */
const named = (shown: string): string => /what you wrote is in (\S+)/.exec(shown)?.[1] ?? '';

describe.skipIf(!isRoot)('edit', () => {
  it.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
    ['n', 'n\n'],
    ['q', 'q\n'],
    ['k', 'k\n'],
  ])('edit keeps what was written, and says where, at %s', async (_, key) => {
    const { exitCode, shown } = await edit(writes(), { keys: [key] });
    expect(shown).not.toContain('fault of pointsman');
    expect([exitCode, starts()]).toEqual([1, 1]);
    expect(readFileSync(named(shown), 'utf8')).toBe(WRITTEN);
  });

  it('edit keeps what was written where nobody can be asked', async () => {
    const { exitCode, shown } = await edit(writes(), { keys: [], atTerminal: false });
    expect(exitCode).toBe(1);
    expect(readFileSync(named(shown), 'utf8')).toBe(WRITTEN);
  });

  it('edit asks again what it does not understand, edits again at "e", and discards at "d" alone', async () => {
    const { exitCode, shown } = await edit(writes(), { keys: ['what\n', 'e\n', 'd\n'] });
    expect([exitCode, starts()]).toEqual([1, 2]);
    expect(named(shown)).toBe('');
    expect(readdirSync(tmp)).toEqual([]);
  });

  it.each([
    ['ends with a code', 'exit 3'],
    ['is killed', 'kill -9 $$'],
    ['takes Ctrl-C for its end, which pointsman outlives', 'kill -INT 0; sleep 60'],
  ])('edit keeps what was written by an editor that %s', async (_, end) => {
    const { shown } = await edit(writes(end), { keys: [] });
    expect(shown).toContain('the editor did not end well (');
    expect(readFileSync(named(shown), 'utf8')).toBe(WRITTEN);
  });

  it.each([
    ['no file', 'rm "$1"', 'the editor has left no file'],
    ['a directory', 'rm "$1"; mkdir "$1"', 'the editor has left a file that cannot be read'],
    ['a FIFO', 'rm "$1"; mkfifo "$1"', 'the editor has left a file that cannot be read'],
    ['a link to nothing', 'ln -sf /nonexistent "$1"', 'the editor has left a file that cannot be read'],
  ])('edit says so where the editor leaves %s', async (_, end, message) => {
    const { exitCode, shown } = await edit(writes(end), { keys: [] });
    expect(shown).toContain(`error: ${message}`);
    expect(shown).not.toContain('fault of pointsman');
    expect(exitCode).toBe(1);
  });

  it('edit names what an editor that was ended saved elsewhere', async () => {
    const { shown } = await edit(script('editor', 'echo mine > "$1.save"; exit 1'), { keys: [] });
    expect(readdirSync(named(shown))).toContain('org.example.Mail.yaml.save');
  });

  it('edit names what an earlier edit left that was ended with its terminal', async () => {
    // As a hang-up does to the shell, the program and the editor alike.
    await edit(writes('kill -9 $PPID'), { keys: [] });
    const { shown } = await edit(script('editor', 'exit 0'), { keys: [] });
    const [, copy = ''] = /an earlier edit, and not used, is in (\S+)/.exec(shown) ?? [];
    expect(dirname(dirname(copy))).toBe(tmp);
    expect(readFileSync(copy, 'utf8')).toBe(WRITTEN);
  });

  it('edit says where there is no room for a copy', async () => {
    rmSync(tmp, { recursive: true });
    const { exitCode, shown } = await edit(writes(), { keys: [] });
    expect(shown).toContain(`error: no copy to edit can be made in ${tmp}: `);
    expect([exitCode, existsSync(join(root, 'starts'))]).toEqual([1, false]);
  });
});
