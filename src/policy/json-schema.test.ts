import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  packagesJsonSchema,
  policyJsonSchema,
  profileJsonSchema,
  systemDefaultJsonSchema,
  uplinkJsonSchema,
} from './json-schema.ts';
import { parsePolicyFile } from './parse-file.ts';
import { UNENFORCED_KEYS, UNENFORCED_VALUES } from './unenforced.ts';

const FILES = [
  ['policy', policyJsonSchema()],
  ['uplink', uplinkJsonSchema()],
  ['profile', profileJsonSchema()],
  ['default', systemDefaultJsonSchema()],
  ['packages', packagesJsonSchema()],
] as const;
const REFERENCE = readFileSync(new URL('../../docs/policy-reference.md', import.meta.url), 'utf8');

/** Every key and every word that a schema allows. */
function wordsOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(wordsOf);
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => {
    if (key === 'properties') return [...Object.keys(value), ...Object.values(value).flatMap(wordsOf)];
    if (key === 'enum') return value;
    return key === 'const' ? [String(value)] : wordsOf(value);
  });
}

describe('policyJsonSchema()', () => {
  it.each(FILES)('schema/%s.schema.json is what the schema generates', async (name, schema) => {
    const text = `${JSON.stringify(schema, null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(`../../schema/${name}.schema.json`);
  });

  it.each(FILES)('docs/policy-reference.md names every key and word of the %s file', (_, schema) => {
    const words = new Set(wordsOf(schema));
    expect(words.size).toBeGreaterThanOrEqual(2);
    expect([...words].filter((word) => !REFERENCE.includes(`\`${word}\``))).toEqual([]);
  });

  it('docs/policy-reference.md names everything that is not enforced yet', () => {
    const words = [...Object.values(UNENFORCED_KEYS).flat(), ...[...UNENFORCED_VALUES.values()].flat()];
    expect(words.filter((word) => !REFERENCE.includes(`\`${word}\``))).toEqual([]);
  });

  it('docs/policy-reference.md has only policies that are valid', () => {
    const examples = [...REFERENCE.matchAll(/```yaml\n(pointsman: 1\napp:.*?)```/gs)].map(([, text]) => text ?? '');
    expect(examples.length).toBeGreaterThanOrEqual(2);
    for (const example of examples) {
      expect(parsePolicyFile('f', new TextEncoder().encode(example)).diagnostics).toEqual([]);
    }
  });
});
