/**
 * docs/security.md is held to its tests: what it promises names those that fail where it is not so. Each paragraph, entry and row outside of the
 * sections about gaps ends with them, or says that it is no promise or that nobody tests it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SECURITY = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
/** What is not promised needs no test. */
const GAPS = ['Known gaps', 'Not promised'];
const NO_PROMISE = /\*(?:Not promised\.|Not tested: .+\.)\*$/;
/** `FILE "part of a title", "part of another"; FILE`, each file without its ending, below `test` or `src`. */
const REFERENCES =
  /\*(?:Tests: )?((?:[\w/-]+(?: "[^"]*"(?:, "[^"]*")*)?)(?:; [\w/-]+(?: "[^"]*"(?:, "[^"]*")*)?)*)\.?\*$/;

interface Reference {
  readonly file: string;
  readonly titles: readonly string[];
}

/** A paragraph, an entry of a list with all its lines, or a row of a table. */
interface Statement {
  readonly section: string;
  readonly text: string;
}

function statementsOf(markdown: string): readonly Statement[] {
  const statements: { section: string; text: string }[] = [];
  let section: string | undefined;
  let open = false;
  const lines = markdown.split('\n');
  for (const [index, line] of lines.entries()) {
    const heading = /^## (.*)/.exec(line)?.[1];
    if (heading !== undefined) section = heading;
    const last = statements.at(-1);
    const isRow = line.startsWith('|');
    const isHead = isRow && (/^\|-/.test(line) || /^\|-/.test(lines[index + 1] ?? ''));
    // What stands above the first section says what the page is about.
    if (section === undefined || line.trim() === '' || line.startsWith('#') || isHead) open = false;
    else if (last !== undefined && open && !isRow && !line.startsWith('- ')) last.text += ` ${line.trim()}`;
    else {
      statements.push({ section, text: line.trim().replace(/ \|$/, '') });
      open = !isRow;
    }
  }
  return statements;
}

function referencesOf({ text }: Statement): readonly Reference[] | undefined {
  const list = REFERENCES.exec(text)?.[1];
  return list?.split('; ').map((entry) => ({
    file: /^[\w/-]+/.exec(entry)?.[0] ?? '',
    titles: [...entry.matchAll(/"([^"]*)"/g)].map(([, title]) => title ?? ''),
  }));
}

/** Whether it is a lead to what follows it. */
const isLead = ({ text }: Statement): boolean => text.endsWith(':');

const isHeld = (statement: Statement): boolean =>
  GAPS.includes(statement.section) ||
  isLead(statement) ||
  NO_PROMISE.test(statement.text) ||
  referencesOf(statement) !== undefined;

const pathOf = (file: string): string | undefined =>
  [`test/${file}.test.ts`, `src/${file}.test.ts`, `test/vm/guest/${file}.guest.ts`, `test/${file}.ts`].find((path) =>
    existsSync(join(ROOT, path)),
  );

/** What a suite, a test, or (after `what`) a scenario of `test/attribution` is called. */
const TITLES =
  /(?:\(\s*(['"`])((?:\\.|(?!\1).)+)\1,\s*(?:async\b|\(|\{|\w+ =>)|\bwhat:\s*(['"`])((?:\\.|(?!\3).)+)\3)/g;

const titlesIn = (path: string): readonly string[] =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(TITLES)].map(([, , title, , what]) => title ?? what ?? '');

/** What of it is not there. */
function missingOf({ file, titles }: Reference): readonly string[] {
  const path = pathOf(file);
  if (path === undefined) return [file];
  const known = titlesIn(path);
  return titles.filter((part) => !known.some((title) => title.includes(part))).map((part) => `${file} "${part}"`);
}

const statements = statementsOf(SECURITY);
const references = statements.flatMap((statement) => referencesOf(statement) ?? []);

describe('what docs/security.md promises', () => {
  it('names a test each, or says that it is no promise', () => {
    expect(statements.filter((statement) => !isHeld(statement)).map(({ text }) => text)).toEqual([]);
    expect(references.length).toBeGreaterThan(100);
  });

  it('names tests that are there', () => {
    expect(references.flatMap(missingOf)).toEqual([]);
  });

  it('names files in the text that are there', () => {
    const named = [...SECURITY.matchAll(/`((?:test|src|docs)\/[\w./-]+)`/g)].map(([, path]) => path ?? '');
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('a statement of docs/security.md', () => {
  const [first] = readdirSync(join(ROOT, 'test/gates')).filter((name) => name.endsWith('.test.ts'));
  const file = `gates/${first?.replace('.test.ts', '')}`;
  const heldOf = (text: string): boolean[] => statementsOf(`# A\n\nAbout.\n\n## B\n\n${text}`).map(isHeld);

  it.each([
    ['Nothing leaves.', [false]],
    ['Nothing leaves.\n*Tests: a/b.*', [true]],
    ['Nothing leaves.\n*Tests: a/b "c", "d"; e/f.*', [true]],
    ['- One.\n  *Tests: a/b "c".*\n- Two,\n  and more.', [true, false]],
    ['| Code | Tests |\n|---|---|\n| a | *a/b* |\n| b | |', [true, false]],
    ['As follows:\n\n- One. *Not promised.*\n- Two. *Not tested: it takes a year.*', [true, true, true]],
    ['*Tests: a/b.* And nothing else.', [false]],
    ['## Not promised\n\nNothing leaves.', [true]],
  ] as const)('is found in %j', (text, held) => {
    expect(heldOf(text)).toEqual(held);
  });

  it('names a file or a title that is not there', () => {
    expect(missingOf({ file: 'gates/nobody-wrote-it', titles: [] })).toEqual(['gates/nobody-wrote-it']);
    expect(missingOf({ file, titles: ['nobody wrote it'] })).toEqual([`${file} "nobody wrote it"`]);
    expect(missingOf({ file, titles: [titlesIn(pathOf(file) ?? '')[0] ?? ''] })).toEqual([]);
  });
});
