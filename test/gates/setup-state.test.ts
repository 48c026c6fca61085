/** What ./pointsman and scripts/setup.sh believe to be missing or out of date. Works on made-up trees. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/setup-state.sh', import.meta.url));

let tree = '';

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'pointsman-setup-'));
});

afterEach(() => rmSync(tree, { recursive: true }));

function ask(
  command: string,
  path = process.env.PATH,
): { readonly status: number | null; readonly out: string; readonly err: string } {
  const text = `root=$1; . ${script}; ${command}`;
  const env = { PATH: path };
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-euc', text, 'sh', tree], { env, encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

function file(path: string, modified: number): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), '');
  utimesSync(join(tree, path), modified, modified);
}

/** As it is after a build at time 200. */
function builtTree(): void {
  for (const source of ['package-lock.json', 'tsconfig.base.json', 'src/net/port.ts', 'src/net/port.test.ts'])
    file(source, 100);
  file('node_modules/.package-lock.json', 150);
  file('dist/.built', 200);
  file('dist/main/pointsman.js', 200);
  for (const directory of ['src/net', 'src']) utimesSync(join(tree, directory), 100, 100);
}

describe('setup-state.sh', () => {
  it('setup-state.sh takes a finished build for current', () => {
    builtTree();
    expect(ask('modules_are_current && build_is_current')).toMatchObject({ status: 0, err: '' });
  });

  it.each([
    ['a source was changed', () => file('src/net/port.ts', 300)],
    ['a source was removed', () => rmSync(join(tree, 'src/net/port.ts'))],
    ['the packages were changed', () => file('package-lock.json', 300)],
    ['it was never finished', () => rmSync(join(tree, 'dist/.built'))],
    ['the program is missing', () => rmSync(join(tree, 'dist/main'), { recursive: true })],
  ])('setup-state.sh takes a build for stale where %s', (_what, change) => {
    builtTree();
    change();
    expect(ask('build_is_current')).toMatchObject({ status: 1, err: '' });
  });

  it('setup-state.sh does not build again for a changed test', () => {
    builtTree();
    file('src/net/port.test.ts', 300);
    utimesSync(join(tree, 'src/net'), 100, 100);
    expect(ask('build_is_current').status).toBe(0);
  });

  it.each([
    ['never installed', () => rmSync(join(tree, 'node_modules'), { recursive: true })],
    ['older than the lock file', () => file('package-lock.json', 300)],
  ])('setup-state.sh takes modules for stale that were %s', (_what, change) => {
    builtTree();
    change();
    expect(ask('modules_are_current').status).toBe(1);
  });

  it.each([
    ['v20.18.1', 1],
    ['v20.19.0', 0],
    ['v18.20.4', 1],
    ['v22.0.0', 0],
    ['v100.1.0', 0],
  ])('setup-state.sh judges Node.js %s', (version, status) => {
    writeFileSync(join(tree, 'node'), `#!/bin/sh\necho ${version}\n`);
    chmodSync(join(tree, 'node'), 0o755);
    const answer = ask('check_node', `${tree}:${process.env.PATH}`);
    expect(answer.status).toBe(status);
    expect(answer.err.includes(version)).toBe(status !== 0);
  });

  it('setup-state.sh names the packages whose programs are missing, each purpose by itself', () => {
    const needs = `needs_a='here=sh gone=no-such-program-here'; needs_b='file=/no/such/file there=/bin'`;
    expect(ask(`${needs}; missing_packages a`).out).toBe('gone ');
    expect(ask(`${needs}; missing_packages b a`).out).toBe('file gone ');
    expect(ask('missing_packages nothing').status).not.toBe(0);
  });
});
