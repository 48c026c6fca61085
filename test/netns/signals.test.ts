/** What whoever starts the daemon, or signals it, can make it open or lose. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nodeCommand } from '../../src/kernel/node-command.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const WRAPPER = fileURLToPath(new URL('../../pointsman', import.meta.url));
const ENTRY = fileURLToPath(new URL('../../dist/main/pointsman.js', import.meta.url));
const INSPECTOR_PORT = 9229;
const DENIED = '203.0.113.10';
const REFUSED = 7;

let device: Device;
let daemon: Daemon | undefined;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('sig');
  device.writePolicy(
    'org.example.Curl',
    'exec: /usr/bin/curl',
    `rules:\n  - { to: ${DENIED}, do: deny }\notherwise: allow`,
  );
});

afterEach(async () => {
  await daemon?.kill();
  await device.pointsman('down');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** `pointsman up` by another command line than the tests' usual one. */
const as =
  (...command: readonly string[]) =>
  (usual: readonly string[]): readonly string[] => [...command, ...usual.slice(POINTSMAN.length)];

async function listening(part: 'device' | 'net' = 'device'): Promise<readonly string[]> {
  const lines = (await device.must(part, ['ss', '-Hltn'])).trimEnd().split('\n');
  return lines.map((line) => line.split(/\s+/)[3] ?? '').filter((local) => local.endsWith(`:${INSPECTOR_PORT}`));
}

const isOurs = (pid: number): boolean => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('up\0');

function signalled(pid: number, signal: NodeJS.Signals | number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

const curl = async (): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '5', `http://${DENIED}/`])).exitCode;

const WAYS = [
  ['the wrapper', as(WRAPPER)],
  ['the command that the lab uses', as(...nodeCommand(ENTRY))],
] as const;

describe('signals', () => {
  it.each(WAYS)('SIGUSR1 opens nothing in a daemon that was started by %s', async (_who, wrap) => {
    daemon = await device.startDaemon({ wrap });
    for (let i = 0; i < 20; i += 1) {
      signalled(daemon.pid, 'SIGUSR1');
      await delay(5);
    }
    // It answers: what the signals caused has happened.
    expect((await device.status()).state).toBe('enforcing');
    expect(await listening()).toEqual([]);
    expect(daemon.output).not.toMatch(/debugger|inspector/i);
  });

  it('a daemon whose first moments would be open to SIGUSR1 does not start', async () => {
    daemon = device.spawnDaemon({ wrap: as(process.execPath, ENTRY) });
    expect(await daemon.ended()).toBe('exit code 2');
    expect(daemon.output).toContain('hint: start ./pointsman up');
  });

  it('SIGUSR1 opens nothing in the lab’s own servers', async () => {
    const { serverPids } = labFiles(device.stateDir);
    const { pid } = JSON.parse(readFileSync(serverPids.net, 'utf8')) as { readonly pid: number };
    for (let i = 0; i < 20; i += 1) {
      signalled(pid, 'SIGUSR1');
      await delay(5);
    }
    expect(await listening('net')).toEqual([]);
    expect(isAlive(pid)).toBe(true);
  });

  it('SIGUSR1 opens nothing in the first moments', async () => {
    const seen: Record<string, readonly string[]> = {};
    for (const [who, wrap] of WAYS) {
      for (let i = 0; i < 4; i += 1) {
        const starting = device.spawnDaemon({ wrap });
        await until('it to be the program', () => starting.ending !== undefined || isOurs(starting.pid));
        await delay(i * 7);
        let found: readonly string[] = [];
        const signals = setInterval(() => signalled(starting.pid, 'SIGUSR1'), 1);
        while (starting.ending === undefined && !starting.output.includes('enforcing') && found.length === 0)
          found = await listening();
        clearInterval(signals);
        if (found.length > 0) seen[who] = found;
        await starting.kill();
        await device.pointsman('down');
      }
    }
    expect(seen).toEqual({});
  });

  it('every other signal that is no order leaves the daemon as it is', async () => {
    daemon = await device.startDaemon();
    const realtime = Array.from({ length: 31 }, (_, i) => 34 + i);
    const { signals } = os.constants;
    const orders: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGKILL', 'SIGSTOP'];
    const faults: readonly NodeJS.Signals[] = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGSYS', 'SIGTRAP'];
    const kept = new Set<number>([...orders, ...faults].map((name) => signals[name]));
    for (const number of [...new Set(Object.values(signals)), ...realtime]) {
      if (kept.has(number)) continue;
      await device.run(['kill', `-${number}`, `${daemon.pid}`]);
      expect([number, (await device.status()).state]).toEqual([number, 'enforcing']);
    }
    expect(await curl()).toBe(REFUSED);
    expect(daemon.ending).toBeUndefined();
  });

  it('SIGQUIT is an order to stop', async () => {
    daemon = await device.startDaemon();
    signalled(daemon.pid, 'SIGQUIT');
    expect(await daemon.ended()).toBe('exit code 0');
  });
});

describe('the environment of whoever starts it', () => {
  const FOREIGN = ['env', 'NODE_OPTIONS=--inspect', 'NODE_V8_COVERAGE=/tmp/pointsman-coverage', 'OPENSSL_CONF=/none'];

  it('the wrapper takes away what Node would load, open or write', async () => {
    daemon = await device.startDaemon({ wrap: (usual) => [...FOREIGN, ...as(WRAPPER)(usual)] });
    expect(await listening()).toEqual([]);
    const variables = readFileSync(`/proc/${daemon.pid}/environ`, 'utf8').split('\0');
    expect(variables.filter((variable) => /^(NODE_|LD_|OPENSSL_)/.test(variable))).toEqual([]);
  });

  it('a daemon that Node was told to open to others does not start, nor stays anything open', async () => {
    daemon = device.spawnDaemon({ wrap: (usual) => [...FOREIGN, ...as(process.execPath, ENTRY)(usual)] });
    expect(await daemon.ended()).toBe('exit code 1');
    expect(daemon.output).toContain("Node's inspector is open");
    expect(await listening()).toEqual([]);
  });

  it('a daemon that was told to load what is not its own does not start', async () => {
    const foreign = ['env', 'NODE_OPTIONS=--max-old-space-size=500', 'LD_LIBRARY_PATH=/none'];
    daemon = device.spawnDaemon({ wrap: (usual) => [...foreign, ...as(process.execPath, ENTRY)(usual)] });
    expect(await daemon.ended()).toBe('exit code 2');
    expect(daemon.output).toContain('LD_LIBRARY_PATH, NODE_OPTIONS are set');
  });
});

function isAlive(pid: number): boolean {
  return signalled(pid, 0);
}
