/** What a person is told where no daemon answers: each way in which that can be, seen from the command line. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { labFiles } from '../../src/lab/lab-state.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const OK = 0;
const NOT_RUNNING = 3;

interface Told {
  readonly exitCode: number;
  /** Absent while it answers. */
  readonly kind?: string;
  readonly stderr: string;
}

let device: Device;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('absent');
  device.writePolicy('org.example.Curl', 'exec: /usr/bin/curl', 'otherwise: deny');
  device.writePolicy(
    'waits',
    'exec: /usr/bin/nc',
    'otherwise: allow\nvia: { require: { type: ethernet }, else: wait }',
  );
});

afterAll(() => device?.[Symbol.asyncDispose]());

async function status(): Promise<Told> {
  const { exitCode, stdout, stderr } = await device.pointsman('status', '--json');
  const { daemon } = JSON.parse(stdout) as { readonly daemon?: { readonly kind: string } };
  return { exitCode, stderr, ...(daemon !== undefined && { kind: daemon.kind }) };
}

/** The states that status told of while a daemon started. */
async function startWatched(): Promise<{ readonly daemon: Daemon; readonly seen: ReadonlySet<string | undefined> }> {
  const daemon = device.spawnDaemon();
  const seen = new Set<string | undefined>();
  await until('the daemon to answer', async () => {
    const { kind } = await status();
    seen.add(kind);
    return kind === undefined;
  });
  return { daemon, seen };
}

describe('pointsman status without an answer', () => {
  it('says that nothing runs and nothing is left', async () => {
    const told = await status();
    expect(told).toMatchObject({ exitCode: NOT_RUNNING, kind: 'none' });
    expect(told.stderr).toContain('the daemon is not running');
  });

  it('says of a daemon whether it starts, is stopped, was killed, or has lost the file of its socket', async () => {
    const { daemon, seen } = await startWatched();
    try {
      expect([...seen]).toContain('starting');
      process.kill(daemon.pid, 'SIGSTOP');
      const stopped = await status();
      process.kill(daemon.pid, 'SIGCONT');
      expect(stopped).toMatchObject({ exitCode: NOT_RUNNING, kind: 'not answering' });
      expect(stopped.stderr).toContain('sudo kill -CONT');

      rmSync(labFiles(device.stateDir).socket);
      expect(await status()).toMatchObject({ exitCode: NOT_RUNNING, kind: 'socket gone' });
    } finally {
      await daemon.kill();
    }
    const killed = await status();
    expect(killed).toMatchObject({ exitCode: NOT_RUNNING, kind: 'rules left' });
    expect(killed.stderr).toContain('sudo pointsman down');
    const { stderr } = await device.pointsman('explain', '--exe', '/usr/bin/curl', '--to', '203.0.113.10:80');
    expect(stderr).toContain('the rules of one are in force');
    // Nobody holds anything.
    const waits = await device.pointsman('explain', '--app', 'waits', '--to', '203.0.113.10:80');
    expect(waits.stdout).toContain('203.0.113.10: refused');
    expect(waits.stdout).toContain('no daemon runs, and so nothing waits');
    expect((await device.pointsman('down')).stdout).toContain('what a killed one had left in the kernel is removed');
    expect(await status()).toMatchObject({ kind: 'none' });
    expect(await device.pointsman('down')).toMatchObject({
      exitCode: OK,
      stdout: 'No daemon is running, and nothing of pointsman is in the kernel.\n',
    });
    expect(await device.pointsman('panic', 'off')).toMatchObject({
      exitCode: OK,
      stdout: '"panic closed" was not in force: nothing is changed.\n',
    });
  });

  it('does not say that all is gone while "panic closed" is in force', async () => {
    await device.pointsman('panic', 'closed');
    try {
      const told = await status();
      expect(told.kind).toBe('panic');
      expect(told.stderr).toContain('sudo pointsman panic off');
      const { exitCode, stderr } = await device.pointsman('down');
      expect(exitCode).toBe(NOT_RUNNING);
      expect(stderr).toContain('"panic closed" is in force');
      const daemon = await device.startDaemon();
      const { stdout } = await device.pointsman('down');
      expect(stdout).toContain('nothing else of pointsman is left');
      expect(stdout).toContain('sudo pointsman panic off');
      expect(await daemon.ended()).toBe('exit code 0');
    } finally {
      await device.pointsman('panic', 'off');
    }
    expect(await status()).toMatchObject({ kind: 'none' });
  });

  it('"panic closed" stands before what policies would make of a connection, with and without a daemon', async () => {
    const asking = [
      ['explain', '--exe', '/usr/bin/curl', '--to', '203.0.113.10:80'],
      ['explain', '--exe', '/usr/bin/curl', '--from', '203.0.113.10', '--port', '80'],
      ['route', 'org.example.Curl'],
      ['uplinks'],
    ];
    const told = async (
      also: readonly (readonly string[])[] = [],
    ): Promise<readonly (readonly [boolean, boolean])[]> => {
      const answers: (readonly [boolean, boolean])[] = [];
      for (const words of [...asking, ...also]) {
        const { stdout } = await device.pointsman(...words);
        const json = JSON.parse((await device.pointsman(...words, '--json')).stdout) as { readonly panicClosed?: true };
        answers.push([stdout.startsWith('"panic closed" is in force'), json.panicClosed === true]);
      }
      return answers;
    };
    expect(new Set((await told()).flat())).toEqual(new Set([false]));
    await device.pointsman('panic', 'closed');
    try {
      expect(new Set((await told()).flat())).toEqual(new Set([true]));
    } finally {
      await device.pointsman('panic', 'off');
    }
    const daemon = await device.startDaemon();
    const who = ['who', String(daemon.pid)];
    expect(new Set((await told([who])).flat())).toEqual(new Set([false]));
    await device.pointsman('panic', 'closed');
    try {
      expect(new Set((await told([who])).flat())).toEqual(new Set([true]));
      const { stderr } = await device.run(['timeout', '5', ...POINTSMAN, 'watch', '--root', device.rootDir]);
      expect(stderr).toContain('"panic closed" is in force');
    } finally {
      await device.pointsman('panic', 'off');
    }
    expect(new Set((await told([who])).flat())).toEqual(new Set([false]));
    await device.pointsman('down');
  });
});
