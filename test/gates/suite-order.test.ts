/** Which files of the suite `netns` run beside others and which do not: each of them runs, and once. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ALONE } from '../suite-order.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const vitest = join(checkout, 'node_modules/vitest/vitest.mjs');

function filesOf(...projects: readonly string[]): readonly string[] {
  const args = ['list', '--filesOnly', '--json', ...projects.map((name) => `--project=${name}`)];
  const { stdout } = spawnSync(process.execPath, [vitest, ...args], { cwd: checkout, encoding: 'utf8' });
  const listed = JSON.parse(stdout) as readonly { readonly file: string }[];
  return listed.map(({ file }) => relative(checkout, file)).sort();
}

const testsBelow = (directory: string, options = {}): readonly string[] =>
  readdirSync(join(checkout, directory), { encoding: 'utf8', ...options })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join(directory, file));

describe('the files of the suite netns', () => {
  it('all run, each once, those that are named to run alone among them', () => {
    const all = [...testsBelow('test/netns', { recursive: true }), ...testsBelow('test/attribution')].sort();
    expect(filesOf('netns', 'netns-alone')).toEqual(all);
    expect(filesOf('netns-alone')).toEqual([...ALONE].sort());
  });
});
