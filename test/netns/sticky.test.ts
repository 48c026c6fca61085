/** Sticky choices: an uplink that comes back is taken again when it has stayed, as the server sees it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';

const ECHO_PORT = 7;
/** Time enough to see that wifi is back, and to connect, before it is taken again. */
const STICKY_MS = 12_000;
const HOST = INTERNET_HOSTS[0]?.v4 ?? '';

let device: Device;
let daemon: Daemon;
let python: string;

/** By which uplink a new connection came to the server; undefined where it was refused. */
async function wayOfNew(program: Probe, id: string): Promise<string | undefined> {
  const from = device.seenEnd();
  const opened = await program.openAndEcho({ id, kind: 'tcp', host: HOST, port: ECHO_PORT, timeoutMs: 8000 });
  if (!opened.ok) return undefined;
  const [{ client } = { client: '' }] = device.seenSince(from);
  return LAB_UPLINKS.find(({ access }) => access.v4.near === client)?.name;
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('sticky');
  python = device.copyOfPython('probe');
  const via = `via: { prefer: { type: wifi }, sticky: ${STICKY_MS / 1000}s }`;
  device.writePolicy('org.example.Sticky', `exec: ${python}`, `otherwise: allow\n${via}`);
  daemon = await device.startDaemon();
  await device.untilUplink('wifi', true);
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

describe('a sticky choice', () => {
  it('leaves an uplink that is lost at once, and takes it again only after it has stayed', async () => {
    await using program = Probe.start(device, [python]);
    expect(await wayOfNew(program, 'first')).toBe('wifi');
    await loseWifi(device, 'carrier lost');
    try {
      await until('cellular to be taken', async () => (await wayOfNew(program, 'lost')) === 'cellular');
    } finally {
      await restoreWifi(device, 'carrier lost');
    }
    const restoredMs = performance.now();
    await device.untilUplink('wifi', true);
    expect(await wayOfNew(program, 'just back')).toBe('cellular');
    const explained = await device.explain({ exe: python, host: HOST, port: ECHO_PORT, protocol: 'tcp' });
    const reasons = explained.flows[0]?.uplinks ?? [];
    expect(reasons.find(({ uplink }) => uplink === 'wifi')?.because).toContain(
      'sticky: new connections stay with cellular',
    );
    let attempt = 0;
    await until('wifi to be taken again', async () => {
      attempt += 1;
      return (await wayOfNew(program, `again ${attempt}`)) === 'wifi';
    });
    expect(performance.now() - restoredMs).toBeGreaterThanOrEqual(STICKY_MS);
  });

  it('counts anew when the uplink goes once more', async () => {
    await using program = Probe.start(device, [python]);
    await loseWifi(device, 'carrier lost');
    await until('cellular to be taken', async () => (await wayOfNew(program, 'lost')) === 'cellular');
    for (let flap = 0; flap < 2; flap += 1) {
      await restoreWifi(device, 'carrier lost');
      await device.untilUplink('wifi', true);
      expect(await wayOfNew(program, `back ${flap}`)).toBe('cellular');
      await loseWifi(device, 'carrier lost');
      await device.untilUplink('wifi', false);
    }
    await restoreWifi(device, 'carrier lost');
    expect(await wayOfNew(program, 'still')).toBe('cellular');
  });
});
