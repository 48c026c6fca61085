/** The daemon where somebody sets the time of day, a day forward and back. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { labFiles } from '../../src/lab/lab-state.ts';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';

const DAY_MS = 86_400_000;
const HOST = INTERNET_HOSTS[0] ?? { name: '', v4: '' };
const OTHER = INTERNET_HOSTS[1] ?? { name: '', v4: '' };
const CONFIRM_MS = 600_000;
const OK = 0;
const REFUSED = 7;

let device: Device;
let directory: string;
let daemon: Daemon | undefined;

/** What the daemon's time of day is off by, from now on. */
const step = (offsetMs: number): void => writeFileSync(join(directory, 'offset'), `${offsetMs}`);

/** Date in every thread of the daemon, as if the clock had been set. */
const SETTABLE = `
import { readFileSync } from 'node:fs';
const now = Date.now;
Date.now = () => now() + Number(readFileSync(new URL('./offset', import.meta.url), 'utf8'));
`;

const startDaemon = (...args: string[]): Promise<Daemon> =>
  device.startDaemon({
    args,
    wrap: ([node = '', ...rest]) => [node, '--import', join(directory, 'settable.mjs'), ...rest],
  });
const curl = async (address: string): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${address}/`])).exitCode;
const writePolicy = (host: string, priority: string): void =>
  device.writePolicy(
    'org.example.Browser',
    'exec: /usr/bin/curl',
    `rules:\n  - { to: ["${HOST.name}", "${host}:${priority}"], do: allow }\notherwise: deny`,
  );

beforeAll(async () => {
  await buildProgram();
  directory = mkdtempSync(join(tmpdir(), 'pm-clock-'));
  writeFileSync(join(directory, 'settable.mjs'), SETTABLE);
  device = await Device.build('clock');
});

afterEach(async () => {
  await daemon?.kill();
  daemon = undefined;
  await device.pointsman('panic', 'open');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

describe.each([
  ['forward', DAY_MS],
  ['back', -DAY_MS],
])('the daemon, with its clock set a day %s', (_, offsetMs) => {
  it('the daemon lets no learned name go and takes nothing back before its time', async () => {
    step(0);
    writePolicy('203.0.113.99', '80');
    daemon = await startDaemon('--confirm', `${CONFIRM_MS / 1000}s`);
    expect(await curl(HOST.v4)).toBe(OK);
    expect(await curl(OTHER.v4)).toBe(REFUSED);
    const before = await device.status();

    // From now on nobody can be asked for names.
    const { resolvConf } = labFiles(device.stateDir);
    writeFileSync(resolvConf, 'nameserver 198.18.255.254\noptions timeout:1 attempts:1\n');
    step(offsetMs);
    // All sets are made anew by the next plan, with what the names have by then.
    writePolicy('203.0.113.98', '81');
    await device.untilStatus('the new plan', ({ revision }) => revision > before.revision);
    expect(await curl(HOST.v4)).toBe(OK);
    expect(await curl(OTHER.v4)).toBe(REFUSED);

    const { confirmBeforeMs = 0, sinceMs, warnings } = await device.status();
    const nowMs = Date.now() + offsetMs;
    expect(confirmBeforeMs - nowMs).toBeGreaterThan(0);
    expect(confirmBeforeMs - nowMs).toBeLessThanOrEqual(CONFIRM_MS);
    expect(nowMs - sinceMs).toBeGreaterThan(0);
    expect(nowMs - sinceMs).toBeLessThan(CONFIRM_MS);
    for (const warning of warnings) expect(Math.abs(nowMs - warning.sinceMs)).toBeLessThan(CONFIRM_MS);
    writeFileSync(resolvConf, 'nameserver 203.0.113.53\nsearch example.org\noptions timeout:2 attempts:2\n');
  });
});
