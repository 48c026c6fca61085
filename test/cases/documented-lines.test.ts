/** Lines of a policy that documents show in their text are right as they stand: people copy them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePolicyFile } from '../../src/policy/parse-file.ts';

const DOCUMENTS = ['README.md', 'docs/policy-reference.md', 'docs/security.md', 'docs/cli.md', 'docs/coexistence.md'];
/** Keys that stand alone in a policy; without what stands for something else (`PATH`, `...`, `a | b`). */
const LINE = /`((?:match|via|rules|accept): [^`]*)`/g;
const PLACEHOLDER = /\.\.\.|\||[A-Z]{3,}/;

const lines = DOCUMENTS.flatMap((document) => {
  const text = readFileSync(join(import.meta.dirname, '../..', document), 'utf8');
  return [...text.matchAll(LINE)].map(([, line = '']) => [document, line] as const);
}).filter(([, line]) => !PLACEHOLDER.test(line));

describe('lines that documents show', () => {
  it.each(lines)('%s: %s', (document, line) => {
    const bytes = new TextEncoder().encode(`pointsman: 1\napp: a\n${line}\n`);
    expect(parsePolicyFile(document, bytes).diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});
