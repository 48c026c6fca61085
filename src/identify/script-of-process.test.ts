import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openProc } from '../kernel/proc.ts';
import { scriptOfProcess, scriptOfProcessByChain, scriptRunBy } from './script-of-process.ts';

const PROGRAM = 'console.log(1); setInterval(() => {}, 1000)\n';

let dir: string;
let script: string;
let children: ChildProcess[] = [];

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'pointsman-script-')));
  script = join(dir, 'x.js');
  writeFileSync(script, PROGRAM);
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  rmSync(dir, { recursive: true });
});

async function start(...args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

describe('scriptOfProcess()', () => {
  it('scriptOfProcess() finds the listed script however it was named', async () => {
    symlinkSync('x.js', join(dir, 'link.js'));
    const listed = new Set(['/opt/other.js', script]);
    for (const name of ['x.js', './x', '../'.repeat(20) + script.slice(1), 'link.js', script]) {
      expect(scriptOfProcess(openProc(), await start('--no-warnings', name), listed), name).toBe(script);
    }
  });

  it('scriptOfProcess() finds none for another script, for code in arguments, and for what is no interpreter', async () => {
    writeFileSync(join(dir, 'y.js'), PROGRAM);
    const listed = new Set([script]);
    expect(scriptOfProcess(openProc(), await start('y.js', 'x.js'), listed)).toBeUndefined();
    expect(scriptOfProcess(openProc(), await start('-e', PROGRAM, 'x.js'), listed)).toBeUndefined();
    const tail = spawn('tail', ['-f', '-n1', 'x.js'], { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(tail);
    await once(tail.stdout, 'data');
    expect(scriptOfProcess(openProc(), tail.pid ?? 0, listed)).toBeUndefined();
  });

  it('scriptOfProcess() finds the script that was given to its interpreter, where that may interpret it', async () => {
    const named = join(dir, 'named.js');
    writeFileSync(script, `#!/usr/bin/node\n${PROGRAM}`);
    writeFileSync(named, `#!${script}\n`);
    const listed = new Set([named]);
    const pid = await start('x.js', '--quiet', 'named.js');
    expect(scriptOfProcess(openProc(), pid, listed)).toBeUndefined();
    expect(scriptOfProcess(openProc(), pid, listed, () => true)).toBe(named);
    const byChain = () => scriptOfProcessByChain(openProc(), pid, listed, (path) => readFileSync(path, 'latin1'));
    expect(byChain()).toBe(named);
    // It is an argument as any other.
    writeFileSync(named, '#!/usr/bin/node\n');
    expect(byChain()).toBeUndefined();
  });

  it('scriptOfProcess() goes by the file that has the path now', async () => {
    const listed = new Set([script]);
    const pid = await start('x.js');
    expect(scriptOfProcess(openProc(), pid, listed)).toBe(script);
    renameSync(script, join(dir, 'old.js'));
    expect(scriptOfProcess(openProc(), pid, listed)).toBeUndefined();
    writeFileSync(script, PROGRAM);
    expect(scriptOfProcess(openProc(), pid, listed)).toBe(script);
  });
});

describe('scriptRunBy()', () => {
  it('scriptRunBy() knows that another program runs only where that can be found', async () => {
    writeFileSync(join(dir, 'y.js'), PROGRAM);
    const listed = new Set([script]);
    const other = await start('y.js', 'x.js');
    // It may be y.js that interprets x.js, as where the first line of that says so.
    expect(scriptRunBy(openProc(), other, listed)).toEqual({ kind: 'not known' });
    expect(scriptRunBy(openProc(), await start('y.js', 'z'), listed)).toEqual({ kind: 'none' });
    expect(scriptRunBy(openProc(), await start('-e', PROGRAM), listed)).toEqual({ kind: 'none' });
    renameSync(join(dir, 'y.js'), join(dir, 'z.js'));
    expect(scriptRunBy(openProc(), other, listed)).toEqual({ kind: 'not known' });
    const tail = spawn('tail', ['-f', '-n1', 'x.js'], { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(tail);
    await once(tail.stdout, 'data');
    // What takes which arguments is only known of interpreters.
    expect(scriptRunBy(openProc(), tail.pid ?? 0, listed)).toEqual({ kind: 'not known' });
  });
});
