/** Rules that hold during a profile: they begin and end with an uplink, for new connections and for those that live. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';

const ECHO_PORT = 7;
const PROFILES = 'etc/pointsman/profiles';
const [SERVER] = INTERNET_HOSTS;
if (SERVER === undefined) throw new Error('the lab has no host');

let device: Device;
let daemon: Daemon;
let python: string;

const untilHolds = (name: string, holds: boolean) =>
  device.untilStatus(`profile ${name} ${holds ? 'to hold' : 'to end'}`, ({ profiles = [] }) =>
    profiles.some((profile) => profile.name === name && profile.holds === holds),
  );

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('profile');
  python = device.copyOfPython('probe');
  device.write(`${PROFILES}/wireless.yaml`, 'pointsman: 1\nprofile: wireless\nwhen: [{ uplink: wifi }]\n');
  device.writePolicy(
    'org.example.Wired',
    `exec: ${python}`,
    'rules:\n  - { to: "*", do: deny, during: wireless }\notherwise: allow\nvia: { prefer: { type: wifi } }',
  );
  daemon = await device.startDaemon();
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

describe('a rule during a profile', () => {
  it('holds while the uplink of the profile is up, and ends what lives when it begins', async () => {
    await using program = Probe.start(device, [python]);
    const socket = (id: string) => ({ id, kind: 'tcp', host: SERVER.v4, port: ECHO_PORT, timeoutMs: 8000 }) as const;
    await untilHolds('wireless', true);
    expect(await program.open(socket('refused'))).toEqual({ ok: false, error: 'ECONNREFUSED' });

    await loseWifi(device, 'carrier lost');
    try {
      await untilHolds('wireless', false);
      expect(await program.openAndEcho(socket('by cellular'))).toEqual({ ok: true, echoed: true });
      const explained = await device.explain({ exe: python, host: SERVER.v4, port: ECHO_PORT, protocol: 'tcp' });
      expect(explained.flows[0]?.rules).toMatchObject([{ outcome: 'not in force', text: 'deny * during wireless' }]);
    } finally {
      await restoreWifi(device, 'carrier lost');
    }
    await untilHolds('wireless', true);
    await until('the live connection to end', async () => !(await program.echo('by cellular')).ok);
    expect(await program.open(socket('refused again'))).toEqual({ ok: false, error: 'ECONNREFUSED' });
  });

  it('begins and ends with its file', async () => {
    await using program = Probe.start(device, [python]);
    const socket = (id: string) => ({ id, kind: 'tcp', host: SERVER.v4, port: ECHO_PORT, timeoutMs: 8000 }) as const;
    device.write(`${PROFILES}/wireless.yaml`, 'pointsman: 1\nprofile: wireless\nwhen: [{ uplink: nowhere }]\n');
    await untilHolds('wireless', false);
    expect(await program.openAndEcho(socket('allowed'))).toEqual({ ok: true, echoed: true });
    device.write(`${PROFILES}/wireless.yaml`, 'pointsman: 1\nprofile: wireless\nwhen: [{ time: 00:00-24:00 }]\n');
    await untilHolds('wireless', true);
    expect(await program.open(socket('refused'))).toEqual({ ok: false, error: 'ECONNREFUSED' });
  });
});
