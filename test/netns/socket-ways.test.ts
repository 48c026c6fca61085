/**
 * The way is on the socket before its route is looked up: a program that a policy sends by another uplink than the default
 * sees the very address that the server sees, and nobody is asked.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_LAN, LAB_UPLINKS, LAN_HOSTS, type LabHost, type LabUplink } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { Talker } from './support/talker.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const ECHO = 7;
const LISTEN = 8080;
const ROUNDS = 5;

const must = <T>(found: T | undefined): T => {
  if (found === undefined) throw new Error('the lab has changed');
  return found;
};
const SERVER: LabHost = must(INTERNET_HOSTS[0]);
const PRINTER: LabHost = must(LAN_HOSTS[0]);
const uplink = (name: string): LabUplink => must(LAB_UPLINKS.find((candidate) => candidate.name === name));
const CELLULAR = uplink('cellular').access;
const WIFI = uplink('wifi').access;

let device: Device;
let sync: Talker;
let python: string;
let client: Talker;

const queued = async (): Promise<number> => (await device.status()).verdicts.queued;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('ways');
  python = device.copyOfPython('sync');
  device.writePolicy('sync', `exec: ${python}`, 'via: { require: { type: cellular } }\notherwise: allow');
  await device.startDaemon();
  sync = Talker.start((command) => device.inside(command), [python]);
  client = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
});

afterAll(async () => {
  await sync?.[Symbol.asyncDispose]();
  await client?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

/** What the program believes its address to be, and what the server saw. */
async function addresses(
  kind: 'tcp' | 'udp',
  host: string,
): Promise<{ own: string | undefined; seen: string | undefined }> {
  const end = device.seenEnd();
  const answer = await sync.connect(kind, host, ECHO);
  expect(answer).toMatchObject({ ok: true });
  const seen = device.seenSince(end).find(({ server, port }) => server === host && port === ECHO);
  return { own: answer.own, seen: seen?.client };
}

describe('a marked socket', () => {
  it.each([
    ['tcp', SERVER.v4, CELLULAR.v4.near],
    ['tcp', SERVER.v6, CELLULAR.v6.near],
    ['udp', SERVER.v4, CELLULAR.v4.near],
    ['udp', SERVER.v6, CELLULAR.v6.near],
  ] as const)('has the address that the server sees (%s to %s), and nobody is asked', async (kind, host, address) => {
    const before = await queued();
    expect(await addresses(kind, host)).toEqual({ own: address, seen: address });
    expect(await queued()).toBe(before);
  });

  it('has it also where main has no default route', async () => {
    await device.run(['ip', 'route', 'flush', 'default']);
    await device.run(['ip', '-6', 'route', 'flush', 'default']);
    // Without a next hop in main an uplink is not up, until its file states one.
    await device.untilUplink('cellular', false);
    device.write(
      'etc/pointsman/uplinks/cellular.yaml',
      `pointsman: 1\nuplink: cellular\ndevice: cell0\ntype: cellular\nmetered: true\ngateway: { v4: ${CELLULAR.v4.far}, v6: "${CELLULAR.v6.far}" }\n`,
    );
    await device.untilUplink('cellular', true);
    // What it says of an uplink may be ahead of what the kernel does.
    for (const host of [SERVER.v4, SERVER.v6])
      await until(`a way to ${host}`, async () => (await sync.connect('tcp', host, ECHO)).ok);
    expect(await addresses('tcp', SERVER.v4)).toEqual({ own: CELLULAR.v4.near, seen: CELLULAR.v4.near });
    expect(await addresses('tcp', SERVER.v6)).toEqual({ own: CELLULAR.v6.near, seen: CELLULAR.v6.near });
    expect(await addresses('udp', SERVER.v4)).toEqual({ own: CELLULAR.v4.near, seen: CELLULAR.v4.near });
  });

  it.each([PRINTER.v4, PRINTER.v6])('goes to %s on another link by that link', async (host) => {
    const answer = await sync.connect('tcp', host, ECHO);
    expect(answer).toMatchObject({ ok: true, own: host === PRINTER.v4 ? LAB_LAN.v4.near : LAB_LAN.v6.near });
  });

  it.each([
    ['tcp', WIFI.v4.near],
    ['tcp', WIFI.v6.near],
    ['udp', WIFI.v4.near],
    ['udp', WIFI.v6.near],
  ] as const)('answers %s to %s by the uplink that it came in by, not by its own', async (kind, host) => {
    await device.must('device', ['ip', 'route', 'replace', 'default', 'via', WIFI.v4.far, 'dev', 'wifi0']);
    await device.must('device', ['ip', '-6', 'route', 'replace', 'default', 'via', WIFI.v6.far, 'dev', 'wifi0']);
    await device.untilUplink('wifi', true);
    const port = LISTEN + (host.includes(':') ? 1 : 0) + (kind === 'udp' ? 10 : 0);
    expect(await sync.listen(kind, port)).toMatchObject({ ok: true });
    // The client's addresses are those of the internet's ends of the transit links.
    const peers = LAB_UPLINKS.map(({ transit }) => ({ name: 'transit', v4: transit.v4.far, v6: transit.v6.far }));
    await using wrong = await Witness.start(device, { part: 'cell', hosts: [...peers, ...INTERNET_HOSTS] });
    await using right = await Witness.start(device, { part: 'wifi', hosts: [...peers, ...INTERNET_HOSTS] });
    for (let round = 0; round < ROUNDS; round += 1)
      expect(await client.connect(kind, host, port), `round ${round}`).toMatchObject({ ok: true });
    expect(await wrong.counted()).toBe(0);
    expect(await right.counted()).toBeGreaterThanOrEqual(ROUNDS);
  });
});
