/** What is in force when the daemon stops, is taken over from, and starts again: by what arrives at the other end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const DENIED_TO = '198.18.0.1';
const CELLULAR_TO = '198.18.0.2';
const ROUNDS = 3;

/** A datagram and a connection each few milliseconds, from sockets of their own that are open for a while, until it is killed. */
const SENDER = `
import collections, socket, sys, time
kept = collections.deque(maxlen=900)
print("begun", flush=True)
while True:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        s = socket.socket(socket.AF_INET, kind)
        s.setblocking(False)
        try:
            s.connect((sys.argv[1], 9))
            s.send(b"x")
        except OSError: pass
        kept.append(s)
        time.sleep(0.004)
`;

let device: Device;
let denied: string;
let cellular: string;
const senders: ChildProcess[] = [];
let running: Daemon | undefined;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('leave');
  denied = device.copyOfPython('denied');
  cellular = device.copyOfPython('cellular');
  device.writePolicy('org.example.Denied', `exec: ${denied}`, 'otherwise: deny');
  const via = 'otherwise: allow\nvia: { require: { type: cellular }, else: block }';
  device.writePolicy('org.example.Cellular', `exec: ${cellular}`, via);
});

afterEach(async () => {
  for (const sender of senders.splice(0)) sender.kill('SIGKILL');
  await running?.kill();
  running = undefined;
  await device.pointsman('down');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

async function send(program: string, to: string): Promise<void> {
  const [file = '', ...args] = device.inside([program, '-c', SENDER, to]);
  const sender = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  senders.push(sender);
  await once(sender.stdout, 'data');
}

/** What leaves by wifi, where none of the senders may. */
const astrayFrom = (): Promise<Arrivals> =>
  Arrivals.start(device, { part: 'wifi', device: 'inside', to: [DENIED_TO, CELLULAR_TO] });

async function left(): Promise<{ readonly table: boolean; readonly rules: boolean }> {
  const tables = await device.must('device', ['nft', 'list', 'tables']);
  const rules = await device.must('device', ['ip', 'rule']);
  return { table: /\bpointsman\b/.test(tables), rules: /^177\d\d:/m.test(rules) };
}

describe('restart', () => {
  it('a sender that nothing governs is counted, so that nothing here passes for want of packets', async () => {
    await using astray = await astrayFrom();
    await send(denied, DENIED_TO);
    await until('packets to arrive', async () => (await astray.take()) > 0);
  });

  it('no denied packet arrives, and none by another way, through stop and start under a supervisor', async () => {
    running = await device.startDaemon({ args: ['--keep'] });
    await using astray = await astrayFrom();
    await send(denied, DENIED_TO);
    await send(cellular, CELLULAR_TO);
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await running.stop()).toBe('exit code 0');
      expect(running.output.trimEnd().split('\n').at(-1)).toMatch(/stay in force .*pointsman down/);
      expect(await left()).toEqual({ table: true, rules: true });
      await delay(300);
      running = await device.startDaemon({ args: ['--keep'] });
    }
    expect(await astray.take()).toBe(0);
    expect((await device.pointsman('down')).exitCode).toBe(0);
    await running.ended();
    expect(running.output.trimEnd().split('\n').at(-1)).toMatch(/nothing of pointsman is left/);
    expect(await left()).toEqual({ table: false, rules: false });
    await until('packets to arrive', async () => (await astray.take()) > 0);
  });

  it('no denied packet arrives, and none by another way, while one daemon takes over from another', async () => {
    running = await device.startDaemon();
    await using astray = await astrayFrom();
    await using cell = await Arrivals.start(device, { part: 'cell', device: 'inside', to: [CELLULAR_TO] });
    await send(denied, DENIED_TO);
    await send(cellular, CELLULAR_TO);
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = running;
      const { pid } = await device.status();
      running = device.spawnDaemon({ args: ['--replace'] });
      expect(await before.ended()).toBe('exit code 0');
      expect(before.output).toContain('another daemon takes over');
      await device.untilStatus('the new one', (status) => status.pid !== pid && status.state === 'enforcing');
      await cell.take();
      await until('packets by cellular', async () => (await cell.take()) > 0);
    }
    expect(await astray.take()).toBe(0);
  });

  it('up --replace starts where no daemon runs', async () => {
    running = await device.startDaemon({ args: ['--replace'] });
    expect((await device.status()).state).toBe('enforcing');
  });

  it('a start that fails leaves in force what was', async () => {
    running = await device.startDaemon({ args: ['--keep'] });
    await running.stop();
    await using astray = await astrayFrom();
    await send(denied, DENIED_TO);
    // The control socket cannot be made where a directory stands.
    mkdirSync(device.path('run/pointsman/pointsman.sock/x'), { recursive: true });
    const failing = device.spawnDaemon();
    expect(await failing.ended()).toMatch(/exit code [1-9]/);
    device.remove('run/pointsman/pointsman.sock');
    expect(await left()).toEqual({ table: true, rules: true });
    expect(await astray.take()).toBe(0);
  });
});

describe('stop', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s in the foreground takes everything out, and says so',
    async (signal) => {
      running = await device.startDaemon();
      process.kill(running.pid, signal);
      expect(await running.ended()).toBe('exit code 0');
      expect(running.output.trimEnd().split('\n').at(-1)).toMatch(/nothing of pointsman is left/);
      expect(await left()).toEqual({ table: false, rules: false });
    },
  );

  it('SIGHUP under a supervisor reads the files again', async () => {
    running = await device.startDaemon({ wrap: (command) => ['env', 'NOTIFY_SOCKET=/nowhere', ...command] });
    process.kill(running.pid, 'SIGHUP');
    // What it answers from now on was asked after the signal.
    for (let i = 0; i < 3; i += 1) expect((await device.status()).state).toBe('enforcing');
    expect(running.output).not.toContain('stopping');
    expect(await running.stop()).toBe('exit code 0');
    expect(await left()).toEqual({ table: true, rules: true });
  });

  it('a stop while it starts, and a second one while it stops, leave nothing half removed', async () => {
    for (const pauseMs of [0, 150, 400, 800, 1200]) {
      running = device.spawnDaemon();
      const starting = running;
      // A handler is there from the first line of the log or the first object in the kernel on.
      await until('it to have begun', async () => starting.ending !== undefined || (await left()).table);
      process.kill(starting.pid, 'SIGINT');
      await delay(pauseMs);
      try {
        process.kill(starting.pid, 'SIGINT');
      } catch {
        // It has ended already.
      }
      expect([await starting.ended(), starting.output]).toEqual(['exit code 0', expect.anything()]);
      expect(starting.output.trimEnd().split('\n').at(-1)).toMatch(/nothing of pointsman is left/);
      expect(await left()).toEqual({ table: false, rules: false });
    }
  });

  it('what docs/cli.md says removes by hand what a killed daemon has left', async () => {
    running = await device.startDaemon();
    await running.kill();
    expect(await left()).toEqual({ table: true, rules: true });
    const docs = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const [, commands = ''] = /## Removing by hand[\s\S]*?```\n([\s\S]*?)```/.exec(docs) ?? [];
    await device.run(['sh', '-c', commands]);
    expect(await left()).toEqual({ table: false, rules: false });
    expect(await device.must('device', ['ip', 'route', 'show', 'table', 'all', 'proto', '177'])).toBe('');
    expect(
      await device.must('device', ['sh', '-c', 'iptables-nft -t mangle -S; ip6tables-nft -t mangle -S']),
    ).not.toContain('NFQUEUE');
  });
});
