/** Golden cases of merging: the files of the layers, and what is in force with the place that each value comes from. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LAYERS } from '../../../src/policy/layers.ts';
import { mergePolicies } from '../../../src/policy/merge.ts';
import { parsePolicyFile } from '../../../src/policy/parse-file.ts';

const directory = import.meta.dirname;
const cases = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());

function mergeCase(name: string): unknown {
  const layers = LAYERS.map((layer) => {
    const file = `${layer}.yaml`;
    const path = join(directory, name, file);
    if (!existsSync(path)) return { layer, policies: [] };
    const { policy, diagnostics } = parsePolicyFile(file, readFileSync(path));
    if (policy === undefined)
      throw new Error(diagnostics.map(({ line, message }) => `${file}:${line}: ${message}`).join('\n'));
    return { layer, policies: [policy] };
  });
  const { apps, diagnostics } = mergePolicies(layers);
  return { apps, diagnostics };
}

/** Places and files as people write them, destinations as they are written; lists of words as one text. */
function readable(key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (key === 'at' && 'line' in value && 'file' in value && 'column' in value)
    return `${value.file}:${value.line}:${value.column}`;
  if (key === 'files' && Array.isArray(value)) return value.map(({ layer, file }) => `${layer} ${file}`).join(' > ');
  if ((key === 'to' || key === 'from') && Array.isArray(value)) return value.map(({ text }) => text).join(' ');
  return Array.isArray(value) && typeof value[0] === 'string' ? value.join(' ') : value;
}

describe('mergePolicies', () => {
  it.each(cases.map(({ name }) => name))('mergePolicies gives what %s/want.json says', async (name) => {
    const text = `${JSON.stringify(mergeCase(name), readable, 2)}\n`;
    await expect(text).toMatchFileSnapshot(join(directory, name, 'want.json'));
  });
});
