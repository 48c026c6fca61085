import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Paths, pathsFor } from '../store/paths.ts';
import { openClient } from './client.ts';
import { type EditedPolicy, editedPolicy } from './edited-policy.ts';
import { type PutOutcome, putIntoForce } from './put-into-force.ts';

const isRoot = process.geteuid?.() === 0;
/** A program that is everywhere. */
const TRUE = 'true';
const program = realpathSync(`/bin/${TRUE}`);

let paths: Paths;

beforeEach(() => {
  // Not below /tmp: whoever can change a directory above a file is not believed.
  paths = pathsFor(mkdtempSync('/run/pointsman-edited-'));
  mkdirSync(paths.administratorPolicies, { recursive: true });
  mkdirSync(paths.packagePolicies, { recursive: true });
});

afterEach(() => rmSync(paths.root, { recursive: true, force: true }));

const policy = (app: string, exec = program, rest = 'otherwise: deny'): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - exec: ${exec}\n${rest}\n`;

function write(name: string, text: string, directory = paths.administratorPolicies): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const textOf = ({ bytes }: EditedPolicy): string => new TextDecoder().decode(bytes);

async function put(edited: EditedPolicy, text: string): Promise<PutOutcome> {
  const bytes = new TextEncoder().encode(text);
  const copyPath = join(paths.root, edited.name);
  writeFileSync(copyPath, bytes);
  return await putIntoForce(openClient(paths.socketPath), {
    paths,
    policy: edited,
    bytes,
    copyPath,
    confirmMs: undefined,
  });
}

describe.skipIf(!isRoot)('editedPolicy', () => {
  it.each([
    ['another name', 'tools.yaml', policy('curl')],
    ['the other ending', 'curl.yml', policy('curl')],
    ['a mistake in it', 'tools.yaml', policy('curl', program, 'othewise: deny')],
    ['a quoted name and a mistake', 'tools.yaml', policy('"curl" # mine', program, 'rules: [')],
    ['nothing readable in it', 'curl.yml', '{{{'],
  ])('editedPolicy edits the file that is about the application, with %s', (_, name, text) => {
    const path = write(name, text);
    const edited = editedPolicy(paths, 'curl');
    expect([edited.path, edited.isNew, textOf(edited)]).toEqual([path, false, text]);
  });

  it('editedPolicy begins a file where only a package speaks of it, and says which does', () => {
    const shipped = write('curl.yaml', policy('curl'), paths.packagePolicies);
    const edited = editedPolicy(paths, 'curl');
    expect([edited.isNew, edited.path]).toEqual([true, join(paths.administratorPolicies, 'curl.yaml')]);
    expect(textOf(edited)).toContain(`Others speak of it, too: ${shipped}`);
  });

  it('editedPolicy names the files where several are about it, and begins no third', () => {
    const files = [write('a.yaml', policy('curl')), write('b.yaml', policy('curl', '/usr/bin/b', 'othewise: deny'))];
    expect(() => editedPolicy(paths, 'curl')).toThrow(`2 files are about curl: ${files.join(', ')}`);
  });

  it('editedPolicy does not take the file of another application for it', () => {
    const path = write('curl.yaml', policy('org.example.Other'));
    expect(() => editedPolicy(paths, 'curl')).toThrow(`${path} is about org.example.Other`);
  });

  it.each(['administratorPolicies', 'packagePolicies'] as const)(
    'editedPolicy names the file by which a program is another application already: of %s',
    (layer) => {
      const path = write('org.example.Tool.yaml', policy('org.example.Tool', `/bin/${TRUE}`), paths[layer]);
      expect(() => editedPolicy(paths, TRUE)).toThrow(`${program} is the application org.example.Tool: ${path}`);
    },
  );

  it('editedPolicy begins with the program of that name where it is free', () => {
    expect(textOf(editedPolicy(paths, TRUE))).toContain(`- exec: ${program}\n`);
    expect(textOf(editedPolicy(paths, 'no-such-program'))).toContain('- exec: /usr/bin/PROGRAM\n');
  });
});

describe.skipIf(!isRoot)('putIntoForce', () => {
  it('putIntoForce without a daemon writes nothing that another file makes void, and says which', async () => {
    const other = write('a.yaml', policy('a'));
    const edited = editedPolicy(paths, 'zzz');
    const outcome = await put(edited, policy('zzz'));
    expect(outcome).toMatchObject({ kind: 'mistakes', diagnostics: [{ code: 'match-conflict', file: edited.path }] });
    expect(JSON.stringify(outcome)).toContain(`belongs to a (${other}`);
    expect(await put(edited, policy('a', '/usr/bin/other'))).toMatchObject({
      kind: 'mistakes',
      diagnostics: [{ code: 'duplicate-entry', file: edited.path }],
    });
    expect(readdirSync(paths.administratorPolicies)).toEqual(['a.yaml']);
  });

  it('putIntoForce without a daemon writes what fits, also beside files with mistakes of their own', async () => {
    write('broken.yaml', policy('broken', '/usr/bin/b', 'othewise: deny'));
    const edited = editedPolicy(paths, 'zzz');
    expect(await put(edited, policy('zzz'))).toMatchObject({ kind: 'written' });
    expect(readFileSync(edited.path, 'utf8')).toBe(policy('zzz'));
  });
});
