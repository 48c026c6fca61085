/** The built program as a process: what tests within one process cannot see. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathsFor } from '../store/paths.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const entry = join(checkout, 'dist/main/pointsman.js');

let root = '';

beforeAll(() => {
  const built = spawnSync(join(checkout, 'node_modules/.bin/tsc'), ['-b', 'src/main'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  expect({ status: built.status, stdout: built.stdout }).toEqual({ status: 0, stdout: '' });
  root = mkdtempSync(join(tmpdir(), 'pointsman-main-'));
});

afterAll(() => rmSync(root, { recursive: true }));

function run(...words: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...words], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('pointsman', () => {
  it('pointsman prints the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
      readonly version: string;
    };
    expect(run('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('pointsman finds no mistakes in the examples', () => {
    const { status, stdout } = run('check', '--json', join(checkout, 'examples'));
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ errors: 0 });
  });

  it('pointsman writes mistakes of the command line to standard error only', () => {
    const { status, stdout, stderr } = run('exlpain');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Did you mean explain?');
  });

  it('pointsman explains without a daemon, as JSON, with the note apart', () => {
    const { status, stdout, stderr } = run(
      '--root',
      root,
      'explain',
      '--exe',
      '/bin/true',
      '--to',
      '192.0.2.1:80',
      '--json',
    );
    expect(status).toBe(0);
    expect(stderr).toContain('the daemon is not running');
    expect(JSON.parse(stdout)).toMatchObject({ flows: [{ address: '192.0.2.1', verdict: 'accept' }] });
  });

  it('pointsman ends quietly when nobody reads on', async () => {
    const child = spawn(process.execPath, [entry, '--root', root, 'plan'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const errors: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdout.destroy();
    const [status] = (await once(child, 'close')) as [number | null];
    expect(status).toBe(0);
    expect(Buffer.concat(errors).toString()).not.toMatch(/EPIPE|^\s+at /m);
  });

  it('pointsman watch shows events and ends with 0 at Ctrl-C', async () => {
    const { socketPath, runDir } = pathsFor(root);
    mkdirSync(runDir, { recursive: true });
    const event = { kind: 'warning', timeMs: 0, code: 'low', message: 'hello', over: false };
    const server = http.createServer(({ url }, answer) => {
      if (url === '/v1/watch') answer.write(`${JSON.stringify(event)}\n`);
      else answer.end('{"warnings":[]}');
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    try {
      const child = spawn(process.execPath, [entry, '--root', root, 'watch'], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      expect(line.toString()).toMatch(/ {2}warning {2}hello \[low\]\n$/);
      child.kill('SIGINT');
      expect(await once(child, 'close')).toEqual([0, null]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
