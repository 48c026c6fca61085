import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { renderBashCompletion, renderFishCompletion, renderZshCompletion } from './completion.ts';

function program(): Command {
  const lab = new Command('lab')
    .addCommand(new Command('up').option('--policies <dir>', 'files'))
    .addCommand(new Command('down'));
  return new Command('pointsman')
    .option('--root <dir>', 'where')
    .addCommand(new Command('plan').option('--nft', 'only nft'))
    .addCommand(lab);
}

function complete(...words: readonly string[]): readonly string[] {
  const script = `${renderBashCompletion(program())}
COMP_WORDS=(pointsman "$@"); COMP_CWORD=$#; _pointsman; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter(Boolean);
}

describe('renderBashCompletion', () => {
  it.each([
    [['p'], ['plan']],
    [
      ['plan', '--'],
      ['--nft', '--root', '--help'],
    ],
    [
      ['lab', ''],
      ['up', 'down', '--root', '--help'],
    ],
    [['--root', '/srv', 'lab', 'up', '--p'], ['--policies']],
    [['--root', 'lab', 'pl'], ['plan']],
    [['lab', 'up', '--policies', ''], []],
    [['lab', 'exec', '--', 'p'], []],
  ])('renderBashCompletion offers for %j %j', (typed, offered) => {
    expect(complete(...typed)).toEqual(offered);
  });
});

describe('renderFishCompletion', () => {
  it('renderFishCompletion offers an option only where its command stands', () => {
    const lines = renderFishCompletion(program()).split('\n');
    expect(lines).toContain(`complete -c pointsman -n "__pointsman_at 'lab up'" -l 'policies' -d 'files'`);
    expect(lines.filter((line) => line.includes("'policies'"))).toHaveLength(1);
  });
});

describe('renderZshCompletion', () => {
  it('renderZshCompletion does not touch the variable path, which is PATH there', () => {
    expect(renderZshCompletion(program())).not.toMatch(/\bpath\b/);
  });
});
