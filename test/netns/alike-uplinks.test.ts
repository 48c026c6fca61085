/** Uplinks that share a device or an address, and what is forwarded behind one of several. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/api/status.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_LAN, LAB_UPLINKS } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { Talker } from './support/talker.ts';

const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
const CELLULAR = LAB_UPLINKS.find(({ name }) => name === 'cellular') ?? expect.fail('the lab has changed');
const SECOND_GATEWAY = '192.168.77.11';
/** Beyond both gateways. */
const BEHIND = '203.0.113.77';
const TIMES = 5;
const PORT = 8099;

let device: Device;
let program: Probe;

const uplink = (name: string, gateway: string, probe = 'probe: off'): void =>
  device.write(
    `${UPLINKS}/${name}.yaml`,
    `pointsman: 1\nuplink: ${name}\ndevice: ${LAB_LAN.device}\n${probe}\ngateway: { v4: ${gateway} }\n`,
  );

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('alike');
  const python = device.copyOfPython('probe');
  // Another router on the same link, with a hardware address of its own.
  const lines = ['link add gw2 link eth0 type macvlan mode bridge', `addr add ${SECOND_GATEWAY}/24 dev gw2`];
  await device.must('lan', ['ip', '-batch', '-'], [...lines, 'link set gw2 up'].join('\n'));
  await device.must('lan', ['sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1', 'net.ipv4.conf.all.arp_announce=2']);
  uplink('one', LAB_LAN.v4.far);
  uplink('two', SECOND_GATEWAY);
  const to = (port: number, name: string): string =>
    `  - { to: "${SERVER.v4}:${port}", do: allow, via: { require: { name: ${name} }, else: block } }`;
  device.writePolicy('alike', `exec: ${python}`, `rules:\n${to(7, 'one')}\n${to(8, 'two')}\notherwise: deny`);
  await device.startDaemon();
  program = Probe.start(device, [python]);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

async function send(port: number): Promise<void> {
  for (let i = 0; i < TIMES; i += 1) {
    await program.openAndEcho({ id: `${i}`, kind: 'udp-connected', host: SERVER.v4, port, timeoutMs: 50 });
    await program.close(`${i}`);
  }
}

describe('uplinks that are alike', () => {
  it('uplinks that are alike but for their gateways are two, also against the kernel’s own default route', async () => {
    const route = ['route', 'add', 'default', 'via', LAB_LAN.v4.far, 'dev', LAB_LAN.device, 'metric', '5000'];
    await device.must('device', ['ip', ...route]);
    for (const name of ['one', 'two']) await device.untilUplink(name, true);
    for (const [gateway, own, other] of [
      ['eth0', 7, 8],
      ['gw2', 8, 7],
    ] as const) {
      await using arrivals = await Arrivals.start(device, { part: 'lan', device: gateway, to: [SERVER.v4] });
      await send(own);
      expect(await arrivals.take()).toBe(TIMES);
      await send(other);
      expect(await arrivals.take()).toBe(0);
    }
  });

  // Both are asked about one and the same host: what tells them apart is the gateway alone.
  it('uplinks that are alike but for their gateways are probed apart', async () => {
    const lose = `table inet lose {\nchain c {\ntype filter hook prerouting priority -200;\niifname "gw2" ip daddr ${BEHIND} drop\n}\n}\n`;
    await device.must('lan', ['ip', 'addr', 'add', `${BEHIND}/32`, 'dev', 'lo']);
    await device.must('lan', ['nft', '-f', '-'], lose);
    const probe = `probe: { icmp: [${BEHIND}] }`;
    uplink('one', LAB_LAN.v4.far, probe);
    uplink('two', SECOND_GATEWAY, probe);
    await using one = await Arrivals.start(device, { part: 'lan', device: 'eth0', to: [BEHIND] });
    const stateOf = ({ uplinks }: Status, name: string): string | undefined =>
      uplinks.find((each) => each.name === name)?.health?.v4?.state;
    await device.untilStatus(
      'the one that loses everything to fail alone',
      (status) => stateOf(status, 'one') === 'good' && stateOf(status, 'two') === 'failed',
    );
    expect(await one.take()).toBeGreaterThan(0);
    await device.must('lan', ['nft', 'delete', 'table', 'inet', 'lose']);
    await device.untilStatus('it to recover', (status) => stateOf(status, 'two') === 'good');
  });

  it('uplinks that are alike answer what comes in for the address that they share', async () => {
    await using there = Talker.start((command) => inNamespace(device.id, 'lan', command), ['/usr/bin/python3']);
    await using here = Talker.start((command) => device.inside(command), ['/usr/bin/python3']);
    expect(await here.listen('tcp', PORT + 1)).toMatchObject({ ok: true });
    expect(await there.connect('tcp', LAB_LAN.v4.near, PORT + 1)).toMatchObject({ ok: true });
  });
});

describe('a forwarded port', () => {
  it('a forwarded port behind an uplink that is not the system’s is answered', async () => {
    await device.must('device', ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    await device.must('lan', ['ip', 'route', 'add', 'default', 'via', LAB_LAN.v4.near]);
    const dnat = `type nat hook prerouting priority -100; iifname "${CELLULAR.device}" tcp dport ${PORT} dnat ip to ${LAB_LAN.v4.far}`;
    await device.must('device', ['nft', '-f', '-'], `table inet ports {\nchain c {\n${dnat}\n}\n}\n`);
    await using behind = Talker.start((command) => inNamespace(device.id, 'lan', command), ['/usr/bin/python3']);
    await using client = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
    expect(await behind.listen('tcp', PORT)).toMatchObject({ ok: true });
    for (let i = 0; i < TIMES; i += 1) {
      expect(await client.connect('tcp', CELLULAR.access.v4.near, PORT)).toMatchObject({ ok: true });
    }
  });
});
