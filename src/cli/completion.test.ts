import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { renderBashCompletion, renderFishCompletion, renderZshCompletion } from './completion.ts';

function program(): Command {
  const lab = new Command('lab')
    .addCommand(new Command('up').option('--policies <dir>', 'files'))
    .addCommand(new Command('down'));
  return new Command('pointsman')
    .option('--root <dir>', 'where')
    .addCommand(new Command('plan').option('--nft', 'only nft'))
    .addCommand(new Command('route').argument('<who>'))
    .addCommand(new Command('explain').option('--app <id>', 'which'))
    .addCommand(lab);
}

function complete(completion: string, ...words: readonly string[]): readonly string[] {
  const script = `${completion}
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
    expect(complete(renderBashCompletion(program()), ...typed)).toEqual(offered);
  });
});

describe('completed names', () => {
  const directory = mkdtempSync(join(tmpdir(), 'completion-'));
  const names = { apps: [`${directory}/a/*.yaml`, `${directory}/b/*.yaml`], labs: [`${directory}/labs/*/`] };
  for (const name of ['a', 'b', 'labs/mine', 'labs/lab']) mkdirSync(join(directory, name), { recursive: true });
  for (const file of ['a/org.example.Mail', 'b/org.example.Mail', 'b/org.example.Web'])
    writeFileSync(join(directory, `${file}.yaml`), '');
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each([
    [['explain', '--app', 'org.example.M'], ['org.example.Mail']],
    [
      ['route', 'org'],
      ['org.example.Mail', 'org.example.Web'],
    ],
    [
      ['lab', '--id', ''],
      ['lab', 'mine'],
    ],
    [['status', '--lab', 'm'], ['mine']],
  ])('renderBashCompletion offers for %j the names %j of this machine', (typed, offered) => {
    expect(complete(renderBashCompletion(program(), names), ...typed)).toEqual(offered);
  });

  it('renderBashCompletion offers none where there are none', () => {
    const none = { apps: [`${directory}/none/*.yaml`], labs: [] };
    expect(complete(renderBashCompletion(program(), none), 'explain', '--app', '')).toEqual([]);
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
