/**
 * What came in by an uplink is answered by that uplink: five of five, for TCP and UDP, IPv4 and IPv6, whichever uplink the listener's
 * own connections take, also by a listener on all addresses. And where that uplink is lost, by none.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_UPLINKS, type LabHost, type LabUplink } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { Talker } from './support/talker.ts';
import { until } from './support/until.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';
import { Witness } from './support/witness.ts';

const ROUNDS = 5;
const PORT = 8090;
/** The client's addresses are those of the internet's ends of the transit links. */
const CLIENTS: readonly LabHost[] = [
  ...LAB_UPLINKS.filter(({ router }) => router !== 'vpn').map(({ name, transit }) => ({
    name,
    v4: transit.v4.far,
    v6: transit.v6.far,
  })),
  ...INTERNET_HOSTS,
];
const LISTENERS = [
  ['whose own connections go by wifi', 'require: { type: wifi }'],
  ['whose own connections go by cellular', 'require: { type: cellular }'],
] as const;

let device: Device;
let client: Talker;
const listeners: Talker[] = [];

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('symmetry');
  const pythons = LISTENERS.map(([, via], i) => {
    const python = device.copyOfPython(`listener${i}`);
    device.writePolicy(`listener${i}`, `exec: ${python}`, `otherwise: allow\nvia: { ${via}, else: block }`);
    return python;
  });
  await device.startDaemon();
  client = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
  for (const [i, python] of pythons.entries()) {
    const listener = Talker.start((command) => device.inside(command), [python]);
    listeners.push(listener);
    for (const kind of ['tcp', 'udp'] as const)
      expect(await listener.listen(kind, PORT + i)).toMatchObject({ ok: true });
  }
});

afterAll(async () => {
  for (const talker of [...listeners, client]) await talker?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

/** The test world has no tunnel. */
const partOf = ({ router }: LabUplink): 'wifi' | 'cell' => (router === 'wifi' ? 'wifi' : 'cell');
const WIRED_UPLINKS = LAB_UPLINKS.filter(({ router }) => router !== 'vpn');
const other = (part: 'wifi' | 'cell'): 'wifi' | 'cell' => (part === 'wifi' ? 'cell' : 'wifi');

const CASES = LISTENERS.flatMap(([who], listener) =>
  WIRED_UPLINKS.flatMap((uplink) =>
    (['tcp', 'udp'] as const).flatMap((kind) =>
      (['v4', 'v6'] as const).map((family) => ({ who, listener, uplink, kind, family, name: uplink.name })),
    ),
  ),
);

describe('inbound symmetry', () => {
  it.each(CASES)('a listener on all addresses $who answers $kind by $name ($family)', async (one) => {
    const { listener, uplink, kind, family } = one;
    const part = partOf(uplink);
    await using right = await Witness.start(device, { part, hosts: CLIENTS });
    await using wrong = await Witness.start(device, { part: other(part), hosts: CLIENTS });
    for (let round = 0; round < ROUNDS; round += 1) {
      const answer = await client.connect(kind, uplink.access[family].near, PORT + listener);
      expect([round, answer]).toMatchObject([round, { ok: true }]);
    }
    expect(await wrong.counted()).toBe(0);
    expect(await right.counted()).toBeGreaterThanOrEqual(ROUNDS);
  });

  it.each(['tcp', 'udp'] as const)(
    'a listener answers %s from an address that is deprecated by its uplink',
    async (kind) => {
      const [, cellular] = LAB_UPLINKS;
      if (cellular === undefined) throw new Error('the lab has changed');
      const address = cellular.access.v6.near.replace(/[^:]+$/, 'd');
      const change = (verb: string, ...more: readonly string[]) =>
        device.must('device', ['ip', 'addr', verb, `${address}/64`, 'dev', cellular.device, ...more]);
      await change('add', 'preferred_lft', '0', 'nodad');
      try {
        await using right = await Witness.start(device, { part: 'cell', hosts: CLIENTS });
        await using wrong = await Witness.start(device, { part: 'wifi', hosts: CLIENTS });
        await until('the address to be known', async () =>
          (await device.must('device', ['ip', '-6', 'rule'])).includes(`from ${address} `),
        );
        for (let round = 0; round < ROUNDS; round += 1)
          expect([round, await client.connect(kind, address, PORT)]).toMatchObject([round, { ok: true }]);
        expect(await wrong.counted()).toBe(0);
        expect(await right.counted()).toBeGreaterThanOrEqual(ROUNDS);
      } finally {
        await change('del');
      }
    },
  );

  it('a listener answers by no other uplink when the one is lost by which it was asked', async () => {
    const [wifi] = LAB_UPLINKS;
    if (wifi === undefined) throw new Error('the lab has changed');
    const held = await client.hold(wifi.access.v4.near, PORT);
    expect(await client.ask(held.id ?? -1)).toEqual({ ok: true });
    await using cellular = await Witness.start(device, { part: 'cell', hosts: CLIENTS });
    await loseWifi(device, 'carrier lost');
    try {
      await device.untilUplink('wifi', false);
      const [listener] = listeners;
      expect(await listener?.push()).toMatchObject({ ok: true });
      // The first retransmission comes within a second.
      expect((await client.ask(held.id ?? -1)).ok).toBe(false);
      // Others have come in by cellular, and are answered there.
      const [v4, v6] = [`${wifi.access.v4.near} `, `${wifi.access.v6.near} `];
      expect(cellular.captured.filter((packet) => packet.startsWith(v4) || packet.startsWith(v6))).toEqual([]);
    } finally {
      await restoreWifi(device, 'carrier lost');
      await device.untilUplink('wifi', true);
    }
  });
});
