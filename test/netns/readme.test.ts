/** What the README shows of the lab is what its commands print. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasNetem } from '../../src/lab/shape-link.ts';
import { namespaceName } from '../../src/lab/world.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';

const README = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
const PROMPT = '$ sudo ./pointsman ';
const MORE_LINES = '[...]';
const id = `readme${process.pid}`;

/** The text in the block between the comments `<!-- NAME: ... -->` and `<!-- /NAME -->`. */
function block(name: string): string {
  const [, text] =
    new RegExp(`<!-- ${name}: .*-->\\n\`\`\`\\n([\\s\\S]*?)\`\`\`\\n<!-- /${name} -->`).exec(README) ?? [];
  if (text === undefined) throw new Error(`the README has no block ${name}`);
  return text;
}

/** Both streams as a terminal shows them, in the words of a lab that is called "lab". */
function pointsman(args: string): string {
  const words = args.replace(/^lab /, `lab --id ${id} `).split(' ');
  const shell = ['-c', 'exec "$@" 2>&1', 'sh', ...POINTSMAN, ...words];
  const { stdout, error } = spawnSync('sh', shell, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return steady(stdout.replaceAll(`/run/pointsman-lab/${id}`, '/run/pointsman-lab/lab'));
}

/** Without the time that curl took, and without what commands say only when something takes them long. */
function steady(text: string): string {
  return text.replaceAll(/after \d+ ms/g, 'after 0 ms').replaceAll(/^.* \.\.\.\n/gm, '');
}

interface Exchange {
  readonly args: string;
  readonly shown: string;
}

function exchanges(transcript: string): readonly Exchange[] {
  const [before, ...parts] = `\n${transcript}`.split(`\n${PROMPT}`);
  expect(before).toBe('');
  return parts.map((part) => {
    const [args = '', ...lines] = part.trimEnd().split('\n');
    return { args, shown: lines.map((line) => `${line}\n`).join('') };
  });
}

describe('the README', () => {
  let lossBy = 'nft';

  beforeAll(async () => {
    await buildProgram();
  });

  afterAll(() => {
    pointsman('lab down');
  });

  it('the README shows of a change-over what the commands print', async () => {
    const steps = exchanges(block('CHANGE-OVER'));
    expect(steps.map(({ args }) => args)).toEqual(expect.arrayContaining(['lab link wifi down', 'lab link wifi up']));
    for (const { args, shown } of steps) {
      const printed = pointsman(args).replaceAll(`The lab "${id}"`, 'The lab');
      if (args === 'lab up') lossBy = (await hasNetem(namespaceName(id, 'wifi'))) ? 'netem' : 'nft';
      const expected = shown.replace('(by nft)', `(by ${lossBy})`);
      if (expected === `${MORE_LINES}\n`) expect([args, printed]).toEqual([args, expect.stringContaining('\n')]);
      else expect([args, printed]).toEqual([args, expected]);
    }
  });

  it('the README shows of the demo what it prints', () => {
    expect(pointsman('lab demo')).toContain(block('DEMO-EXCERPT'));
  });
});
