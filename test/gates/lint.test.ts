/** Every lint rule that the project relies on fails once. Works on copies; the tree is not touched. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const biome = join(root, 'node_modules/.bin/biome');

let copy = '';

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'pointsman-lint-'));
  cpSync(join(root, 'biome.json'), join(copy, 'biome.json'));
  cpSync(join(root, '.gitignore'), join(copy, '.gitignore'));
});

afterEach(() => rmSync(copy, { recursive: true }));

/** Files by name -> the rules that object. */
function lint(files: Readonly<Record<string, string>>): {
  readonly status: number | null;
  readonly rules: readonly string[];
} {
  for (const [name, source] of Object.entries(files)) writeFileSync(join(copy, name), source);
  const args = ['ci', '--error-on-warnings', '--reporter=json', '--colors=off', ...Object.keys(files)];
  const { status, stdout } = spawnSync(biome, args, { cwd: copy, encoding: 'utf8' });
  const report = JSON.parse(stdout) as { readonly diagnostics: readonly { readonly category: string }[] };
  return { status, rules: [...new Set(report.diagnostics.map(({ category }) => category))] };
}

describe('biome', () => {
  it('biome has nothing against clean code', () => {
    expect(lint({ 'a.ts': 'export const a: number = 1;\n' })).toEqual({ status: 0, rules: [] });
  });

  it.each([
    [
      'a promise that nobody waits for',
      'lint/nursery/noFloatingPromises',
      'async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n',
    ],
    [
      'a promise that is only said to be waited for by nobody',
      'lint/complexity/noVoid',
      'async function f(): Promise<void> {}\nexport function g(): void {\n  void f();\n}\n',
    ],
    [
      'a switch that forgets a kind',
      'lint/nursery/useExhaustiveSwitchCases',
      `export function f(kind: 'a' | 'b'): number {\n  switch (kind) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}\n`,
    ],
    ['any', 'lint/suspicious/noExplicitAny', 'export function f(a: any): string {\n  return String(a);\n}\n'],
    [
      'a non-null assertion',
      'lint/style/noNonNullAssertion',
      'export function f(a?: string): string {\n  return a!;\n}\n',
    ],
    ['a node module without node:', 'lint/style/useNodejsImportProtocol', `export { readFileSync } from 'fs';\n`],
    [
      'an import that is not used',
      'lint/correctness/noUnusedImports',
      `import { join } from 'node:path';\n\nexport const a = 1;\n`,
    ],
    ['code that is not formatted', 'format', 'export const a   = 1\n'],
  ])('biome refuses %s', (_what, rule, source) => {
    const { status, rules } = lint({ 'a.ts': source });
    expect(status).not.toBe(0);
    expect(rules).toContain(rule);
  });

  it('biome refuses files that import each other', () => {
    const { status, rules } = lint({
      'a.ts': `import { b } from './b.ts';\n\nexport const a = (): number => b();\n`,
      'b.ts': `import { a } from './a.ts';\n\nexport const b = (): number => a();\n`,
    });
    expect(status).not.toBe(0);
    expect(rules).toContain('lint/suspicious/noImportCycles');
  });
});
