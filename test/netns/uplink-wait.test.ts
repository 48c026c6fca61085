/**
 * `else: wait`: what is sent while no uplink will do goes out by the one that comes up, nothing leaves by another in the
 * meantime, and who waits in vain is told. The far ends are the judges.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe, type ProbeAnswer, type SocketKind } from './support/probe.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';
import { Witness } from './support/witness.ts';

const ECHO_PORT = 7;
/** Longer than anybody is held. */
const PATIENT_MS = 10_000;
/** Nobody is held for longer than three seconds, and on a busy machine an uplink may take longer to come up. */
const ATTEMPTS = 5;
const WIFI = LAB_UPLINKS.filter(({ name }) => name === 'wifi').flatMap(({ access }) => [
  access.v4.near,
  access.v6.near,
]);
const [SERVER] = INTERNET_HOSTS.filter(({ name }) => name === 'updates.example.org');
if (SERVER === undefined) throw new Error('the lab has no updates.example.org');

let device: Device;
let daemon: Daemon;
let python: string;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('wait');
  python = device.copyOfPython('probe');
  device.writePolicy(
    'org.example.Wifi',
    `exec: ${python}`,
    'otherwise: allow\nvia: { require: { type: wifi }, else: wait }',
  );
  daemon = await device.startDaemon();
  await device.untilUplink('wifi', true);
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

const KINDS: readonly SocketKind[] = ['tcp', 'udp-connected', 'udp'];
const FLOWS = KINDS.flatMap((kind) => [SERVER.v4, SERVER.v6].map((host) => ({ kind, host })));

describe('else: wait', () => {
  it.each(FLOWS)('holds $kind to $host until the uplink is up, and lets it out by it', async ({ kind, host }) => {
    await using program = Probe.start(device, [python]);
    await using cellular = await Witness.start(device, { part: 'cell', hosts: [SERVER] });
    const seenFrom = device.seenEnd();
    const answers: ProbeAnswer[] = [];
    while (answers.at(-1)?.ok !== true && answers.length < ATTEMPTS) {
      await loseWifi(device, 'carrier lost');
      try {
        await device.untilUplink('wifi', false);
        const id = `held ${answers.length}`;
        const answer = program.openAndEcho({ id, kind, host, port: ECHO_PORT, timeoutMs: PATIENT_MS });
        await device.untilStatus('a flow to be held', ({ verdicts }) => verdicts.held > 0);
        await restoreWifi(device, 'carrier lost');
        answers.push(await answer);
      } finally {
        await restoreWifi(device, 'carrier lost');
        await device.untilUplink('wifi', true);
      }
    }
    expect(answers.at(-1)).toEqual({ ok: true, echoed: true });
    const clients = device.seenSince(seenFrom).map(({ client }) => client);
    expect(clients.length).toBeGreaterThan(0);
    expect(WIFI).toEqual(expect.arrayContaining(clients));
    expect(await cellular.counted()).toBe(0);
  });

  it('tells who has waited in vain that there is no way', async () => {
    await using program = Probe.start(device, [python]);
    await loseWifi(device, 'carrier lost');
    try {
      await device.untilUplink('wifi', false);
      const explained = await device.explain({ exe: python, host: SERVER.v4, port: ECHO_PORT, protocol: 'tcp' });
      expect(explained.flows).toMatchObject([
        { verdict: 'queue', reason: expect.stringContaining('waits for an uplink') },
      ]);
      const socket = { id: 'in vain', kind: 'tcp', host: SERVER.v4, port: ECHO_PORT, timeoutMs: PATIENT_MS } as const;
      expect(await program.open(socket)).toEqual({ ok: false, error: 'ENETUNREACH' });
    } finally {
      await restoreWifi(device, 'carrier lost');
      await device.untilUplink('wifi', true);
    }
  });
});
