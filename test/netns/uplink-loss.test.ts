/**
 * No flow of an application with `else: block` leaves by another uplink when its own is lost: the far end of the other
 * uplink is the judge, for sockets from before and after, in every way in which a link is lost.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS, type LabHost } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { type OpenSocket, Probe, type SocketKind } from './support/probe.ts';
import { until } from './support/until.ts';
import { LOSSES, loseWifi, restoreWifi } from './support/wifi-link.ts';
import { Witness } from './support/witness.ts';

const ECHO_PORT = 7;
const STREAM_EVERY_MS = 10;
/** Long enough for retransmissions to start (RTO_MIN 200 ms) and for a hundred datagrams. */
const AFTERMATH_MS = 1200;
/** What a program may wait for the refusal: less than TCP waits before it sends its first packet again (1 s). */
const QUICK_MS = 900;
const TRANSPORTS: readonly SocketKind[] = ['tcp', 'udp-connected', 'udp'];

const hostNamed = (name: string): LabHost => {
  const host = INTERNET_HOSTS.find((candidate) => candidate.name === name);
  if (host === undefined) throw new Error(`the lab has no ${name}`);
  return host;
};
const SERVER = hostNamed('updates.example.org');
const uplinkAddresses = (name: string): string[] =>
  LAB_UPLINKS.filter((uplink) => uplink.name === name).flatMap(({ access }) => [access.v4.near, access.v6.near]);

/** One of each transport and family. */
function sockets(prefix: string): OpenSocket[] {
  return TRANSPORTS.flatMap((kind) =>
    [SERVER.v4, SERVER.v6].map((host) => ({ id: `${prefix} ${kind} ${host}`, kind, host, port: ECHO_PORT })),
  );
}

const UNGOVERNED_UID = 4243;
const GOVERNED_UID = 4242;
const asUser = (uid: number, command: readonly string[]): readonly string[] => [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${uid}`,
  '--clear-groups',
  ...command,
];

const TIERS = [
  {
    tier: 'told by its executable',
    match: (python: string) => `exec: ${python}`,
    command: (python: string) => [python],
  },
  {
    tier: 'told by its user',
    match: () => `user: ${GOVERNED_UID}`,
    command: (python: string) => asUser(GOVERNED_UID, [python]),
  },
] as const;

let device: Device;
let python: string;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('loss');
  python = device.copyOfPython('probe');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

describe.each(TIERS)('uplink loss of an application $tier', ({ match, command }) => {
  let daemon: Daemon;

  beforeAll(async () => {
    device.writePolicy(
      'org.example.Wifi',
      match(python),
      'otherwise: allow\nvia: { require: { type: wifi }, else: block }',
    );
    daemon = await device.startDaemon();
    await device.untilUplink('wifi', true);
  });

  afterAll(async () => {
    await daemon?.stop();
  });

  it.each(LOSSES)('uplink loss (%s) lets nothing of it out by cellular, refuses new flows, and ends', async (loss) => {
    await using program = Probe.start(device, command(python));
    await using cellular = await Witness.start(device, { part: 'cell', hosts: [SERVER] });
    const before = sockets('before');
    const seenFrom = device.seenEnd();
    for (const socket of before) {
      expect([socket.id, await program.openAndEcho(socket)]).toEqual([socket.id, { ok: true, echoed: true }]);
    }
    const addresses = device.seenSince(seenFrom).map(({ client }) => client);
    expect(new Set(addresses)).toEqual(new Set(uplinkAddresses('wifi')));
    for (const { id } of before) await program.stream(id, STREAM_EVERY_MS);

    await loseWifi(device, loss);
    try {
      await device.untilUplink('wifi', false);
      await delay(AFTERMATH_MS);
      for (const socket of sockets('after')) {
        const answer = await program.openAndEcho({ ...socket, timeoutMs: QUICK_MS });
        expect(answer.ok, socket.id).toBe(false);
        // A datagram's fate is told only to sockets that are connected.
        if (socket.kind !== 'udp')
          expect([socket.id, answer]).not.toEqual([socket.id, { ok: false, error: 'timeout' }]);
      }
      expect(cellular.captured).toEqual([]);
      expect(await cellular.counted()).toBe(0);
      await expectWitnessSees(cellular);
    } finally {
      await restoreWifi(device, loss);
      await device.untilUplink('wifi', true);
    }

    for (const { id } of before) await program.endStream(id);
    const seenAgainFrom = device.seenEnd();
    for (const socket of sockets('again')) {
      expect([socket.id, await program.openAndEcho(socket)]).toEqual([socket.id, { ok: true, echoed: true }]);
    }
    const again = device.seenSince(seenAgainFrom).map(({ client }) => client);
    expect(new Set(again)).toEqual(new Set(uplinkAddresses('wifi')));
  });
});

/** A witness that saw nothing proves nothing until it has seen something: an ungoverned program, by the same way. */
async function expectWitnessSees(witness: Witness): Promise<void> {
  const url = `http://${SERVER.v4}/`;
  const curl = ['curl', '-sS', '--max-time', '5', '--interface', 'cell0', url];
  const outcome = await device.run(asUser(UNGOVERNED_UID, curl));
  expect(outcome).toMatchObject({ exitCode: 0, stdout: '10.20.30.2\n' });
  await until('the capture to show it', () => witness.captured.length > 0);
  // Lines come in the order of the packets: what had left before would stand before it.
  expect(new Set(witness.captured)).toEqual(new Set([`10.20.30.2 ${SERVER.v4}`]));
  expect(await witness.counted()).toBeGreaterThan(0);
}

describe('uplink loss of an application that prefers wifi', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    device.writePolicy('org.example.Wifi', `exec: ${python}`, 'otherwise: allow\nvia: { prefer: { type: wifi } }');
    daemon = await device.startDaemon();
    await device.untilUplink('wifi', true);
  });

  afterAll(async () => {
    await daemon?.stop();
  });

  it.each([SERVER.v4, SERVER.v6])(
    'uplink loss moves its new flows to %s to cellular; they stay there',
    async (host) => {
      await using program = Probe.start(device, [python]);
      const connect = async (id: string): Promise<string | undefined> => {
        const from = device.seenEnd();
        const socket = { id, kind: 'tcp', host, port: ECHO_PORT } as const;
        expect(await program.openAndEcho(socket)).toEqual({ ok: true, echoed: true });
        return device.seenSince(from)[0]?.client;
      };
      expect(uplinkAddresses('wifi')).toContain(await connect('by wifi'));

      await loseWifi(device, 'carrier lost');
      try {
        await device.untilUplink('wifi', false);
        expect(uplinkAddresses('cellular')).toContain(await connect('by cellular'));
      } finally {
        await restoreWifi(device, 'carrier lost');
      }
      await device.untilUplink('wifi', true);

      expect(uplinkAddresses('wifi')).toContain(await connect('by wifi again'));
      await using wifi = await Witness.start(device, { part: 'wifi', hosts: [SERVER] });
      await using cellular = await Witness.start(device, { part: 'cell', hosts: [SERVER] });
      expect(await program.echo('by cellular')).toEqual({ ok: true, echoed: true });
      expect(await cellular.counted()).toBeGreaterThan(0);
      expect(await wifi.counted()).toBe(0);
    },
  );
});
