/** A daemon that is stopped or hangs keeps no command waiting, and whoever does what is printed gets out of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { labFiles } from '../../src/lab/lab-state.ts';
import type { Outcome } from '../../src/lab/run-tool.ts';
import { buildProgram } from './support/build-program.ts';
import { Daemon } from './support/daemon.ts';
import { Device, POLICIES } from './support/device.ts';
import { commandsIn, oneWordProgram } from './support/typed-hint.ts';
import { until } from './support/until.ts';

const FAILED = 1;
const NOT_RUNNING = 3;
const ALREADY_RUNNING = 4;
/** More than listen(2) keeps for a process that does not take them. */
const MORE_THAN_WAIT = 1000;
const CURL = 'org.example.Curl';
const TO = ['--exe', '/usr/bin/curl', '--to', '203.0.113.10:80'];

let device: Device;
let program: string;
let tried: string;
const started: Daemon[] = [];

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('silent');
  device.writePolicy(CURL, 'exec: /usr/bin/curl', 'otherwise: deny');
  program = oneWordProgram(join(dirname(device.rootDir), 'bin/pm'));
  tried = device.path('tried');
  mkdirSync(tried);
  writeFileSync(join(tried, `${CURL}.yaml`), `pointsman: 1\napp: ${CURL}\nmatch:\n  - exec: /usr/bin/curl\n`);
});

afterEach(async () => {
  for (const daemon of started.splice(0)) await daemon.kill();
  await device.pointsman('panic', 'open');
});

afterAll(() => device?.[Symbol.asyncDispose]());

const typed = (...args: readonly string[]): Promise<Outcome> =>
  device.run([program, ...args, '--root', device.rootDir]);

/** Does what is printed. `up` goes on in its terminal, and is waited for. */
async function type(command: string): Promise<number> {
  if (!/ up\b/.test(command)) return (await device.run(['sh', '-c', command])).exitCode;
  const daemon = Daemon.spawn(device.inside(['sh', '-c', `exec ${command}`]));
  started.push(daemon);
  await until('it to be in force', async () => {
    if (daemon.ending !== undefined) throw new Error(daemon.output);
    return (await typed('status')).exitCode === 0;
  });
  return 0;
}

async function stoppedDaemon(): Promise<Daemon> {
  const daemon = await device.startDaemon();
  started.push(daemon);
  process.kill(daemon.pid, 'SIGSTOP');
  return daemon;
}

const lines = ({ stderr }: Outcome, word: string): readonly string[] =>
  stderr.split('\n').filter((line) => line.trimStart().startsWith(word));

/** What an answer without an answer ends with. */
function expectTold(outcome: Outcome, name: string, exitCode: number, pid: number): void {
  expect([name, outcome.exitCode, outcome.timedOut], outcome.stderr).toEqual([name, exitCode, false]);
  expect([name, lines(outcome, 'error:')]).toEqual([
    name,
    [expect.stringContaining(`the daemon is stopped (process ${pid}): its last policies are in force`)],
  ]);
  expect([name, lines(outcome, 'hint:')]).toEqual([name, [expect.stringContaining(`sudo kill -CONT ${pid}; or`)]]);
}

const EDITOR = { SUDO_EDITOR: `sh -c 'echo "# new" >> "$1"' editor` };

describe('a daemon that is stopped', () => {
  it('keeps no command waiting: each says so in one line, and in the next what to type', async () => {
    const { pid } = await stoppedDaemon();
    const asking = [
      ['status'],
      ['status', '--json'],
      ['reload'],
      ['reload', '--confirm', '9s'],
      ['try', tried],
      ['confirm'],
      ['apps'],
      ['who', '1'],
      ['who', ':80'],
      ['metrics'],
      ['metrics', '--json'],
      ['watch'],
      ['watch', '--json'],
      ['down'],
      ['up', '--replace'],
    ];
    const outcomes = await Promise.all(asking.map((words) => typed(...words)));
    for (const [index, words] of asking.entries())
      expectTold(outcomes[index] as Outcome, words.join(' '), NOT_RUNNING, pid);
    const json = JSON.parse(outcomes[1]?.stdout ?? '') as unknown;
    expect(json).toMatchObject({ state: 'absent', daemon: { kind: 'not answering', stopped: true, pid } });
  });

  it('lets those answer that can without it, and they say on what ground', async () => {
    const { pid } = await stoppedDaemon();
    const computing = [
      ['explain', ...TO],
      ['explain', '--app', CURL, '--from', '203.0.113.10', '--port', '80'],
      ['uplinks'],
      ['route', CURL],
      ['plan'],
      ['plan', '--diff'],
    ];
    const outcomes = await Promise.all(computing.map((words) => typed(...words)));
    for (const [index, words] of computing.entries()) {
      const outcome = outcomes[index] as Outcome;
      const name = words.join(' ');
      expect([name, outcome.exitCode, outcome.timedOut], outcome.stderr).toEqual([name, 0, false]);
      expect([name, lines(outcome, 'note:')]).toEqual([
        name,
        [
          expect.stringMatching(
            new RegExp(`is stopped \\(process ${pid}\\).*kill -CONT ${pid}.*computed from the files`),
          ),
        ],
      ]);
    }
  });

  it('is a finding of the doctor, is told to who would start another, and loses nobody what he has written', async () => {
    const { pid } = await stoppedDaemon();
    const doctor = await typed('doctor');
    expect(doctor.exitCode).toBe(FAILED);
    expect(doctor.stdout).toContain(`the daemon is stopped (process ${pid})`);
    expect(doctor.stdout).toContain(`sudo kill -CONT ${pid}`);
    expect((await typed('doctor', '--probe')).exitCode).toBe(FAILED);
    const second = await typed('up');
    expect([second.exitCode, second.stderr]).toEqual([
      ALREADY_RUNNING,
      expect.stringContaining(`(process ${pid}), and is stopped; let it go on: sudo kill -CONT ${pid}`),
    ]);
    const edit = await device.pointsmanIn(EDITOR, 'edit', CURL);
    expectTold(edit, 'edit', NOT_RUNNING, pid);
    const [, copy = ''] = /^note: what you wrote is in (.*)$/m.exec(edit.stderr) ?? [];
    expect((await device.run(['tail', '-n', '1', copy])).stdout).toBe('# new\n');
    expect((await device.run(['tail', '-n', '1', device.path(`${POLICIES}/${CURL}.yaml`)])).stdout).not.toBe('# new\n');
    await device.run(['rm', '-r', dirname(copy)]);
  });

  it('does not hold up the emergency brake, which says what becomes of it', async () => {
    const { pid } = await stoppedDaemon();
    expect(await typed('panic', 'closed')).toMatchObject({ exitCode: 0 });
    expect((await typed('status')).stderr).toContain('"panic closed" is in force, too');
    expect(await typed('panic', 'off')).toMatchObject({ exitCode: 0 });
    const open = await typed('panic', 'open');
    expect(open.exitCode).toBe(0);
    expect(open.stderr).toContain(`the daemon is stopped and could not be told`);
    expect(commandsIn(open.stderr)).toEqual([`kill -KILL ${pid}`]);
    expect((await device.run(['nft', 'list', 'tables'])).stdout).not.toContain('pointsman');
    await type(commandsIn(open.stderr)[0] ?? '');
    expect((await typed('status')).stderr).toContain('the daemon is not running\n');
  });

  it('is told of also where so many have asked in vain that its socket takes no more', async () => {
    const { pid } = await stoppedDaemon();
    const waiting: Socket[] = [];
    const joinQueue = (): Promise<string | undefined> =>
      new Promise((resolve) => {
        const socket = connect(labFiles(device.stateDir).socket);
        waiting.push(socket);
        socket.once('connect', () => resolve(undefined));
        socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      });
    let refusal: string | undefined;
    while (refusal === undefined && waiting.length < MORE_THAN_WAIT) refusal = await joinQueue();
    expect(refusal).toBe('EAGAIN');
    try {
      for (const words of [['status'], ['reload'], ['who', '1'], ['watch']])
        expectTold(await typed(...words), words.join(' '), NOT_RUNNING, pid);
    } finally {
      for (const socket of waiting) socket.destroy();
    }
  });

  it('goes on, or ends, by the very words of the hint', async () => {
    const hint = async (): Promise<readonly string[]> => {
      const told = await typed('status');
      expect(told.exitCode).toBe(NOT_RUNNING);
      return commandsIn(lines(told, 'hint:')[0] ?? '');
    };
    const first = await stoppedDaemon();
    const [goOn = '', end = '', up = '', down = ''] = await hint();
    expect([goOn, end]).toEqual([`kill -CONT ${first.pid}`, `kill -KILL ${first.pid}`]);
    expect([up, down]).toEqual([`${program} up --root ${device.rootDir}`, `${program} down --root ${device.rootDir}`]);
    expect(await type(goOn)).toBe(0);
    expect(await typed('status')).toMatchObject({ exitCode: 0 });

    process.kill(first.pid, 'SIGSTOP');
    expect(await type(end)).toBe(0);
    await first.ended();
    expect(await hint()).toEqual([up, down]);
    expect(await type(up)).toBe(0);
    expect(await type(down)).toBe(0);
    expect(await hint()).toEqual([up]);
    expect(await type(up)).toBe(0);
  });
});
