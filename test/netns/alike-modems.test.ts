/** Two modems that gave this machine the same address, and have the same themselves: who asks by one of them is answered by that one. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { LAB_UPLINKS, type LabHost } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Talker } from './support/talker.ts';
import { Witness } from './support/witness.ts';

const ROUNDS = 5;
const PORT = 8095;
const FORGE = fileURLToPath(new URL('./support/forge.py', import.meta.url));
/** What both modems gave out, and what they have themselves. */
const OWN = { v4: '192.168.8.100', v6: '2001:db8:8::100' } as const;
const MODEM = { v4: '192.168.8.1', v6: '2001:db8:8::1' } as const;
const WIRED = LAB_UPLINKS.filter(({ router }) => router !== 'vpn');
const CLIENTS: readonly LabHost[] = WIRED.map(({ name, transit }) => ({
  name,
  v4: transit.v4.far,
  v6: transit.v6.far,
}));
const partOf = (name: string): 'wifi' | 'cell' => (name === 'wifi' ? 'wifi' : 'cell');

let device: Device;
let client: Talker;
let listener: Talker;

const batch = (part: Parameters<Device['must']>[0], lines: readonly string[]): Promise<string> =>
  device.must(part, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('modems');
  for (const { name, device: by, metric = 0 } of WIRED) {
    await batch(partOf(name), [`addr add ${MODEM.v4}/24 dev inside`, `addr add ${MODEM.v6}/64 dev inside`]);
    await batch('device', [
      ...[`addr flush dev ${by} scope global`, `addr add ${OWN.v4}/24 dev ${by}`, `addr add ${OWN.v6}/64 dev ${by}`],
      `route replace default via ${MODEM.v4} dev ${by} metric ${metric}`,
      `route replace default via ${MODEM.v6} dev ${by} metric ${metric}`,
    ]);
    device.write(
      `${UPLINKS}/${name}.yaml`,
      `pointsman: 1\nuplink: ${name}\ndevice: ${by}\nprobe: off\ngateway: { v4: ${MODEM.v4}, v6: "${MODEM.v6}" }\n`,
    );
  }
  const python = device.copyOfPython('listener');
  device.writePolicy('listener', `exec: ${python}`, 'otherwise: allow\nvia: { require: { name: wifi }, else: block }');
  await device.startDaemon();
  for (const { name } of WIRED) await device.untilUplink(name, true);
  client = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
  listener = Talker.start((command) => device.inside(command), [python]);
  for (const kind of ['tcp', 'udp'] as const) expect(await listener.listen(kind, PORT)).toMatchObject({ ok: true });
});

afterAll(async () => {
  for (const talker of [listener, client]) await talker?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

const CASES = WIRED.flatMap(({ name, transit }) =>
  (['tcp', 'udp'] as const).flatMap((kind) =>
    (['v4', 'v6'] as const).map((family) => ({ name, transit, kind, family })),
  ),
);

describe('two modems with one address', () => {
  it.each(CASES)('who asks by $name is answered by it: $kind, $family', async ({ name, transit, kind, family }) => {
    const part = partOf(name);
    await batch('net', [`route replace ${OWN[family]} via ${transit[family].near}`]);
    await using right = await Witness.start(device, { part, hosts: CLIENTS });
    await using wrong = await Witness.start(device, { part: part === 'wifi' ? 'cell' : 'wifi', hosts: CLIENTS });
    const answers: unknown[] = [];
    for (let round = 0; round < ROUNDS; round += 1) answers.push(await client.connect(kind, OWN[family], PORT));
    const counted = { right: await right.counted(), wrong: await wrong.counted() };
    expect({ answers, wrong: counted.wrong }).toMatchObject({
      answers: Array.from({ length: ROUNDS }, () => ({ ok: true })),
      wrong: 0,
    });
    expect(counted.right).toBeGreaterThanOrEqual(ROUNDS);
  });

  // Both at once: what is remembered of one is not to lead the other's.
  it.each(['v4', 'v6'] as const)(
    'who pings by one of them is answered by it, while others ping by the other: %s',
    async (family) => {
      await using wifi = await Witness.start(device, { part: 'wifi', hosts: CLIENTS });
      await using cell = await Witness.start(device, { part: 'cell', hosts: CLIENTS });
      for (let round = 1; round <= ROUNDS; round += 1) {
        for (const [name, own, other] of [
          ['wifi', wifi, cell],
          ['cellular', cell, wifi],
        ] as const) {
          const { transit } = WIRED.find((each) => each.name === name) ?? expect.fail(name);
          await batch('net', [`route replace ${OWN[family]} via ${transit[family].near}`]);
          const before = await other.counted();
          const answered = await device.must('net', [
            'sh',
            '-c',
            `ping -n -c 2 -i 0.2 -W 2 ${OWN[family]} | grep -c 'bytes from' || true`,
          ]);
          expect({ name, round, answered: answered.trim(), astray: (await other.counted()) - before }).toEqual({
            ...{ name, round, answered: '2', astray: 0 },
          });
          expect(await own.counted()).toBeGreaterThanOrEqual(2 * round);
        }
      }
    },
  );

  it.each(
    (['tcp', 'udp', 'ping'] as const).flatMap((kind) =>
      (['v4', 'v6'] as const).map((family) => ({ kind, family, own: family === 'v4' ? 41_004 : 41_006 })),
    ),
  )(
    'a packet by the other one in the name of who asks takes no answers there: $kind, $family',
    async ({ kind, family, own }) => {
      const wifi = WIRED.find(({ name }) => name === 'wifi') ?? expect.fail('the lab has changed');
      const host = OWN[family];
      await batch('net', [`route replace ${host} via ${wifi.transit[family].near}`]);
      const forge = () =>
        device.must('cell', ['python3', FORGE, kind, wifi.transit[family].far, `${own}`, host, `${PORT}`]);
      const held = kind === 'tcp' ? ((await client.hold(host, PORT, own)).id ?? expect.fail('not connected')) : 0;
      const answered = async (): Promise<number> => {
        if (kind === 'udp') return (await client.datagrams(host, PORT, own, ROUNDS)).answers ?? 0;
        if (kind === 'ping') {
          const script = `ping -n -e ${own} -c ${ROUNDS} -i 0.2 -W 1 ${host} | grep -c 'bytes from' || true`;
          return Number(await device.must('net', ['sh', '-c', script]));
        }
        let count = 0;
        for (let round = 0; round < ROUNDS; round += 1) if ((await client.ask(held)).ok) count += 1;
        return count;
      };
      await using astray = await Witness.start(device, { part: 'cell', hosts: CLIENTS });
      const before = await answered();
      await forge();
      expect({ before, after: await answered(), astray: await astray.counted() }).toEqual({
        ...{ before: ROUNDS, after: ROUNDS, astray: 0 },
      });
    },
  );
});

describe('a modem that gives out an address of a VPN', () => {
  it('who asks by it for an address of a VPN takes no answers there', async () => {
    const wifi = WIRED.find(({ name }) => name === 'wifi') ?? expect.fail('the lab has changed');
    const stolen = '10.66.9.2';
    await batch('device', [
      ...['link add vpn9 type veth peer name vpn9far', 'link set vpn9 up', 'link set vpn9far up'],
      `addr add ${stolen}/24 dev vpn9`,
    ]);
    device.write(
      `${UPLINKS}/tunnel.yaml`,
      'pointsman: 1\nuplink: tunnel\ndevice: vpn9\ntype: vpn\nprobe: off\ngateway: { v4: 10.66.9.1 }\n',
    );
    await device.untilUplink('tunnel', true);
    await batch('device', [`addr add ${stolen}/24 dev cell0`]);
    await batch('cell', [`route replace ${stolen} dev inside`]);
    await device.untilStatus('the lease to be told', ({ warnings }) =>
      warnings.some(({ code, message }) => code === 'address-of-vpn' && message.includes(`cellular (${stolen})`)),
    );
    await using cell = await Witness.start(device, { part: 'cell', hosts: CLIENTS });
    const forge = (host: string) =>
      device.must('cell', ['python3', FORGE, 'udp', wifi.transit.v4.far, '41010', host, `${PORT}`]);
    for (let round = 0; round < ROUNDS; round += 1) await forge(stolen);
    // What was asked last is answered last.
    await forge(OWN.v4);
    await expect.poll(() => cell.captured.filter((line) => line.startsWith(OWN.v4)).length).toBeGreaterThan(0);
    expect(cell.captured.filter((line) => line.startsWith(stolen))).toEqual([]);
  });
});
