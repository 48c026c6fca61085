/**
 * Where policies name scripts, whose starts only the daemon sees: without it, programs that the kernel knows are what they were, a script
 * that runs stays what it is, and one that is started is nobody's and its interpreter's never. The other end counts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const hostsOf = (name: string): typeof INTERNET_HOSTS =>
  INTERNET_HOSTS.filter((host) => host.name === `${name}.example.org`);
const HOSTS = hostsOf('updates');
const ECHO = 7;
const PYTHON = '/usr/bin/python3';
const KINDS = ['tcp', 'udp', 'udp-connected'] as const;
const ANSWERED = Array.from({ length: 6 }, () => 'answered');
const REFUSED = ['ECONNREFUSED', 'ECONNREFUSED', 'EPERM', 'EPERM', 'EPERM', 'EPERM'];
const AS_POLICY_SAYS = {
  allowed: { outcomes: ANSWERED, wifi: true, cellular: false },
  denied: { outcomes: REFUSED, wifi: false, cellular: false },
  routed: { outcomes: ANSWERED, wifi: false, cellular: true },
  stranger: { outcomes: ANSWERED, wifi: true, cellular: false },
};
const NOTHING = { outcomes: REFUSED, wifi: false, cellular: false };

let device: Device;
let untouched: KernelState;
let daemon: Daemon | undefined;
const programs: Record<keyof typeof AS_POLICY_SAYS, string> = { allowed: '', denied: '', routed: '', stranger: '' };
const scripts = { allowed: '', denied: '', routed: '', run: '' };

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('keptscripts');
  untouched = await kernelState(device);
  for (const name of ['allowed', 'denied', 'routed', 'stranger'] as const) programs[name] = device.copyOfPython(name);
  const bodies = {
    allowed: 'otherwise: allow',
    denied: 'otherwise: deny',
    routed: 'otherwise: allow\nvia: { require: { type: cellular }, else: block }',
  };
  for (const name of ['allowed', 'denied', 'routed'] as const) {
    device.writePolicy(`org.example.${name}`, `exec: ${programs[name]}`, bodies[name]);
    scripts[name] = Probe.writeScript(device, `opt/${name}.py`, PYTHON);
    device.writePolicy(`org.example.script.${name}`, `script: ${scripts[name]}`, bodies[name]);
  }
  // Of an interpreter that nobody knows by its name.
  scripts.run = Probe.writeScript(device, 'opt/run.me', device.copyOfPython('runner'));
  device.writePolicy('org.example.script.run', `script: ${scripts.run}`, bodies.denied);
});

afterEach(async () => {
  if (daemon?.ending === undefined) await daemon?.stop();
  await device.pointsman('down');
  expect(await changesSince(device, untouched)).toEqual([]);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** What it gets, and by which link what it sent arrived: counted there. */
async function outcomesOf(probe: Probe) {
  await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
  await using cellular = await Witness.start(device, { part: 'cell', hosts: HOSTS });
  const outcomes: string[] = [];
  for (const kind of KINDS) {
    for (const host of HOSTS.flatMap(({ v4, v6 }) => [v4, v6])) {
      const answer = await probe.openAndEcho({ id: `${kind} ${host}`, kind, host, port: ECHO, timeoutMs: 5000 });
      outcomes.push(answer.ok ? 'answered' : answer.error);
    }
  }
  return { outcomes, wifi: (await wifi.counted()) > 0, cellular: (await cellular.counted()) > 0 };
}

async function lookAtPrograms() {
  const found: Record<string, Awaited<ReturnType<typeof outcomesOf>>> = {};
  for (const [name, program] of Object.entries(programs)) {
    await using probe = Probe.start(device, [program]);
    found[name] = await outcomesOf(probe);
  }
  return found;
}

async function ofScript(...command: readonly string[]) {
  await using probe = Probe.startScript(device, command);
  return await outcomesOf(probe);
}

describe('without the daemon, where policies name scripts', () => {
  it('programs that the kernel knows are allowed, refused and routed as before, and strangers pass', async () => {
    daemon = await device.startDaemon();
    expect(await lookAtPrograms()).toEqual(AS_POLICY_SAYS);
    expect(await ofScript(scripts.routed)).toEqual(AS_POLICY_SAYS.routed);
    expect((await device.status()).identity.kept).toEqual({ inKernel: true });
    await daemon.kill();
    expect(await lookAtPrograms()).toEqual(AS_POLICY_SAYS);
  });

  it('a script that is started then is refused at once, however it is started, and nothing of it arrives', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    const starts = {
      itself: [scripts.denied],
      'by its interpreter': [PYTHON, scripts.denied],
      'by env': ['/usr/bin/env', 'python3', scripts.denied],
      'by a shell that becomes it': ['/bin/sh', '-c', `exec ${scripts.denied}`],
      'with an interpreter of another name': [scripts.run],
      'one that may leave by cellular': [scripts.routed],
      'one that may leave': [scripts.allowed],
    };
    const found = [];
    for (const command of Object.values(starts)) found.push(await ofScript(...command));
    expect(found).toEqual(Object.values(starts).map(() => NOTHING));
  });

  it('a script that runs stays what it is, and an interpreter that has run for long is what it was', async () => {
    await using old = Probe.start(device, [PYTHON]);
    await old.open({ id: 'it runs', kind: 'udp', host: '127.0.0.1', port: ECHO });
    daemon = await device.startDaemon();
    await using allowed = Probe.startScript(device, [scripts.allowed]);
    await using denied = Probe.startScript(device, [scripts.denied]);
    await using routed = Probe.startScript(device, [scripts.routed]);
    expect(await outcomesOf(routed)).toEqual(AS_POLICY_SAYS.routed);
    expect(await outcomesOf(denied)).toEqual(AS_POLICY_SAYS.denied);
    expect(await outcomesOf(allowed)).toEqual(AS_POLICY_SAYS.allowed);
    await daemon.kill();
    expect(await outcomesOf(routed)).toEqual(AS_POLICY_SAYS.routed);
    expect(await outcomesOf(denied)).toEqual(AS_POLICY_SAYS.denied);
    expect(await outcomesOf(allowed)).toEqual(AS_POLICY_SAYS.allowed);
    expect(await outcomesOf(old)).toEqual(AS_POLICY_SAYS.stranger);
  });

  it('a script that a stopped daemon holds goes on as nobody’s when that one is killed, and is refused', async () => {
    daemon = await device.startDaemon();
    process.kill(daemon.pid, 'SIGSTOP');
    try {
      await using held = Probe.startScript(device, [PYTHON, scripts.denied]);
      const pid = await until('the interpreter to be there', () => interpretersOf(scripts.denied)[0]);
      await daemon.kill();
      expect(await outcomesOf(held)).toEqual(NOTHING);
      expect(interpretersOf(scripts.denied)).toEqual([pid]);
    } finally {
      await daemon.kill();
    }
  });

  it('the next daemon tells the scripts that were started meanwhile, and lets other interpreters go', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    await using denied = Probe.startScript(device, [scripts.denied]);
    await using routed = Probe.startScript(device, [scripts.routed]);
    await using other = Probe.start(device, [PYTHON]);
    expect(await outcomesOf(routed)).toEqual(NOTHING);
    expect(await outcomesOf(other)).toEqual(NOTHING);
    daemon = await device.startDaemon();
    expect(await outcomesOf(routed)).toEqual(AS_POLICY_SAYS.routed);
    expect(await outcomesOf(denied)).toEqual(AS_POLICY_SAYS.denied);
    expect(await outcomesOf(other)).toEqual(AS_POLICY_SAYS.stranger);
    const before = (await device.status()).verdicts.queued;
    expect(await outcomesOf(other)).toEqual(AS_POLICY_SAYS.stranger);
    expect((await device.status()).verdicts.queued - before).toBe(0);
  });

  it('scripts are started while daemons are killed and started: none astray, and known programs go on', async () => {
    daemon = await device.startDaemon();
    await using allowed = Probe.start(device, [programs.allowed]);
    const [tracker, updates, demo] = ['tracker', 'updates', 'demo'].map(hostsOf) as [
      typeof HOSTS,
      typeof HOSTS,
      typeof HOSTS,
    ];
    await using wifi = await Witness.start(device, { part: 'wifi', hosts: [...tracker, ...demo] });
    await using cellular = await Witness.start(device, { part: 'cell', hosts: tracker });
    const flows = KINDS.slice(0, 1).flatMap((kind) =>
      updates.flatMap(({ v4, v6 }) => [v4, v6]).map((host) => ({ id: `${kind} ${host}`, kind, host })),
    );
    for (const flow of flows) await allowed.churn({ ...flow, port: ECHO, timeoutMs: 10_000, everyMs: 20 });
    // It holds its sockets until it has heard what became of them: of what is gone nobody can tell whose it was.
    const text = (hosts: typeof HOSTS): string =>
      `import socket\nheld = []\nfor f, h in ${JSON.stringify(
        hosts.flatMap(({ v4, v6 }) => [
          [2, v4],
          [10, v6],
        ]),
      )}:\n` +
      `  for k in (2, 1):\n    s = socket.socket(f, k)\n    held.append(s)\n    s.settimeout(3)\n` +
      `    try:\n      s.connect((h, 7)); s.send(b"x"); s.recv(1)\n    except OSError: pass\n`;
    const brief = { denied: writeBrief('denied', text(tracker)), routed: writeBrief('routed', text(demo)) };
    await device.pointsman('reload');
    const starters = Object.values(brief).flatMap((path) => [
      startAgainAndAgain([path]),
      startAgainAndAgain([PYTHON, path]),
    ]);
    const began = (): number => starters.reduce((sum, { starts }) => sum + starts(), 0);
    const astray: number[] = [];
    const count = async () => astray.push((await wifi.counted()) + (await cellular.counted()));
    try {
      for (let round = 0; round < 4; round += 1) {
        const before = began();
        await until('scripts to be started', () => began() > before + 12);
        await count();
        await daemon.kill();
        const dead = began();
        await until('scripts to be started without a daemon', () => began() > dead + 8);
        await count();
        daemon = await device.startDaemon();
      }
      await count();
    } finally {
      for (const { end } of starters) await end();
    }
    expect(astray).toEqual(astray.map(() => 0));
    for (const { id } of flows) {
      const counts = (await allowed.counts(id)) as unknown as { readonly failed: number; readonly received: number };
      await allowed.endStream(id);
      expect({ id, failed: counts.failed }).toEqual({ id, failed: 0 });
      expect(counts.received).toBeGreaterThan(50);
    }
  });
});

/** Processes whose interpreter has the script among its arguments. */
function interpretersOf(script: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const isInterpreter = /\/python3[\d.]*$/.test(readlinkSync(`/proc/${pid}/exe`));
        return isInterpreter && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(script);
      } catch {
        return false;
      }
    })
    .map(Number);
}

function writeBrief(name: 'denied' | 'routed', text: string): string {
  const below = `opt/brief-${name}.py`;
  device.write(below, `#!${PYTHON}\n${text}`);
  chmodSync(device.path(below), 0o755);
  const body = {
    denied: 'otherwise: deny',
    routed: 'otherwise: allow\nvia: { require: { type: cellular }, else: block }',
  }[name];
  device.writePolicy(`org.example.brief.${name}`, `script: ${device.path(below)}`, body);
  return device.path(below);
}

/** A shell that starts it, waits for its end and starts it again. */
function startAgainAndAgain(command: readonly string[]): { readonly starts: () => number; end(): Promise<void> } {
  let starts = 0;
  const [file = '', ...args] = device.inside([
    '/bin/sh',
    '-c',
    'while :; do "$@" </dev/null >/dev/null 2>&1; echo started || exit; done',
    'sh',
    ...command,
  ]);
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  child.stdout?.on('data', (bytes: Buffer) => {
    starts += bytes.toString().split('\n').length - 1;
  });
  return {
    starts: () => starts,
    end: async () => {
      const ended = once(child, 'close');
      // With the script that runs.
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await ended;
    },
  };
}
