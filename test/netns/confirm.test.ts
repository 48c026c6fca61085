/** What is put into force on trial goes away by itself, and the emergency brake needs no daemon. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { until } from './support/until.ts';

const URL_V4 = 'http://203.0.113.10/';
const REFUSED = 7;
const TIMED_OUT = 28;
const OK = 0;

let device: Device;
let untouched: KernelState;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('confirm');
  untouched = await kernelState(device);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** Time enough for what is to happen within it, also on a machine that has eight times too much to do. */
const WINDOW_MS = 10_000;
const WINDOW = `${WINDOW_MS / 1000}s`;

const curl = async (maxSeconds = 10): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', `${maxSeconds}`, URL_V4])).exitCode;
/** Nothing answers; a longer wait would tell no more. */
const curlInVain = (): Promise<number> => curl(2);
const writePolicy = (verb: 'allow' | 'deny'): void =>
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', `otherwise: ${verb}`);

describe('confirm', () => {
  let daemon: Daemon | undefined;

  afterEach(async () => {
    await daemon?.kill();
    daemon = undefined;
    await device.pointsman('panic', 'open');
  });

  it('up --confirm without a confirmation comes down by itself and leaves nothing', async () => {
    writePolicy('deny');
    daemon = await device.startDaemon({ args: ['--confirm', WINDOW] });
    await until('it to say until when', () =>
      /removed at \d\d:\d\d:\d\d, and nothing is in force then, unless/.test(daemon?.output ?? ''),
    );
    expect(await curl()).toBe(REFUSED);
    expect(await daemon.ended()).toBe('exit code 1');
    expect(await curl()).toBe(OK);
    expect(await changesSince(device, untouched)).toEqual([]);
  });

  it('up --confirm with a confirmation stays', async () => {
    writePolicy('deny');
    daemon = await device.startDaemon({ args: ['--confirm', WINDOW] });
    expect((await device.status()).confirmBeforeMs).toBeTypeOf('number');
    expect(await device.pointsman('confirm')).toMatchObject({ exitCode: OK });
    expect((await device.status()).confirmBeforeMs).toBeUndefined();
    await delay(WINDOW_MS + 500);
    expect(await curl()).toBe(REFUSED);
    expect(daemon.ending).toBeUndefined();
  });

  it('reload --confirm without a confirmation goes back to the policies before', async () => {
    writePolicy('allow');
    daemon = await device.startDaemon();
    expect(await curl()).toBe(OK);
    await reloadOnTrial();
    expect(await curl()).toBe(REFUSED);
    await until('the policies before to be back', async () => (await curl()) === OK);
    expect((await device.status()).warnings).toContainEqual(expect.objectContaining({ code: 'rolled-back' }));
  });

  it('reload --confirm with a confirmation stays', async () => {
    writePolicy('allow');
    daemon = await device.startDaemon();
    await reloadOnTrial();
    expect(await device.pointsman('confirm')).toMatchObject({ exitCode: OK });
    await delay(WINDOW_MS + 500);
    expect(await curl()).toBe(REFUSED);
  });

  it('confirm says so where nothing waits for it', async () => {
    writePolicy('allow');
    daemon = await device.startDaemon();
    const outcome = await device.pointsman('confirm');
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('nothing waits to be confirmed');
  });
});

/** The trial begins before the daemon has noticed the file by itself. */
async function reloadOnTrial(): Promise<void> {
  writePolicy('deny');
  expect(await device.pointsman('reload', '--confirm', WINDOW)).toMatchObject({ exitCode: OK });
}

describe('panic', () => {
  beforeEach(async () => {
    writePolicy('deny');
    const daemon = await device.startDaemon();
    expect(await curl()).toBe(REFUSED);
    await daemon.kill();
  });

  it('panic closed, off and open work after the daemon was killed', async () => {
    const ungoverned = async (): Promise<number> => {
      const python = 'import socket; socket.create_connection(("203.0.113.10", 80), 1)';
      return (await device.run(['/usr/bin/python3', '-c', python])).exitCode;
    };
    expect(await device.pointsman('panic', 'closed')).toMatchObject({ exitCode: OK });
    expect(await curlInVain()).toBe(TIMED_OUT);
    expect(await ungoverned()).not.toBe(OK);
    expect((await device.run(['ping', '-c1', '-W1', '127.0.0.1'])).exitCode).toBe(OK);

    expect(await device.pointsman('panic', 'off')).toMatchObject({ exitCode: OK });
    expect(await device.must('device', ['nft', 'list', 'tables'])).toMatch(/^table inet pointsman$/m);
    expect(await device.must('device', ['nft', 'list', 'tables'])).not.toContain('panic');

    expect(await device.pointsman('panic', 'open')).toMatchObject({ exitCode: OK });
    expect(await changesSince(device, untouched)).toEqual([]);
    expect(await curl()).toBe(OK);
    expect(await ungoverned()).toBe(OK);
  });

  it('panic open stops a daemon that runs', async () => {
    const daemon = await device.startDaemon();
    expect(await device.pointsman('panic', 'open')).toMatchObject({ exitCode: OK });
    await daemon.ended();
    expect(await curl()).toBe(OK);
    expect(await changesSince(device, untouched)).toEqual([]);
  });

  it('panic closed holds while a daemon starts and runs, which says so', async () => {
    await device.pointsman('panic', 'closed');
    const daemon = await device.startDaemon();
    expect((await device.status()).warnings).toContainEqual(expect.objectContaining({ code: 'panic-closed' }));
    writePolicy('allow');
    await device.pointsman('reload');
    expect(await curlInVain()).toBe(TIMED_OUT);
    await device.pointsman('panic', 'off');
    await until('curl to get through', async () => (await curl()) === OK);
    await daemon.stop();
  });
});
