/**
 * Whoever carries a tun or tap device on is a program with sockets: no `via` may send what carries the tunnel into it. The other end counts
 * what arrives, and the device what goes into it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cgroup2MountDir } from '../../src/kernel/cgroup.ts';
import type { Explanation } from '../../src/policy/explain.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, eventually, inDevice, NET, type Root, SERVER4, SERVER6 } from './daemon/world.ts';

const OUTER_PORT = 1194;
const TIMES = 20;
const VPN = 'vpn';
const INSIDE = { 4: '198.51.100.77', 6: '2001:db8:5::77' };
const DEFAULT = 'pointsman: 1\notherwise: allow\nvia: { require: { type: vpn }, local: via, else: block }\n';
const HOLDER = join(import.meta.dirname, 'support/tunnel-holder.py');
/** Loops of before filled a device with thousands of packets at once; of what the kernel itself sends by a device (MLD), there are a few. */
const HOUSEKEEPING = 20;
const CGROUP = join(
  cgroup2MountDir(readFileSync('/proc/self/mountinfo', 'utf8')) ?? expect.fail('these tests need cgroup2'),
  `own-tunnel-${process.pid}`,
);
const JOIN_AND_EXEC = 'echo $$ > "$1/cgroup.procs" || exit 125; shift; exec "$@"';
const SEND = `
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for _ in range(int(sys.argv[2])):
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"inner", (sys.argv[1], 9))
`;

const OUTERS = [
  { family: 4, server: SERVER4, gateway: ['via', '10.9.1.1', 'dev', 'u1'] },
  { family: 6, server: SERVER6, gateway: ['via', 'fd09:1::1', 'dev', 'u1'] },
] as const;
type Outer = (typeof OUTERS)[number];
type How = 'connected' | 'unconnected' | 'fresh';

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
let holder: ChildProcess | undefined;
let said: string[] = [];

const ip = (...args: readonly string[]): string => inDevice('ip', ...args);

function arrived(): number {
  const args = [`--net=/run/netns/${NET}`, 'nft', '-j', 'list', 'counter', 'inet', 'arrivals', 'outer'];
  const { nftables } = JSON.parse(execFileSync('nsenter', args, { encoding: 'utf8' })) as {
    readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
  };
  return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}

function sentInto(device: string): number {
  const [link] = JSON.parse(ip('-s', '-j', 'link', 'show', 'dev', device)) as [
    { readonly stats64: { readonly tx: { readonly packets: number } } },
  ];
  return link.stats64.tx.packets;
}

/** By both families, for a program that no policy names. */
async function untilTaken(): Promise<void> {
  const ask = (host: string): Promise<Explanation> =>
    daemon.ask<Explanation>('POST', '/v1/explain', { exe: '/usr/bin/true', host, port: 9, protocol: 'udp' });
  await eventually(
    async () => (await Promise.all(Object.values(INSIDE).map(ask))).map(({ flows }) => flows[0]?.way),
    (ways) => ways.every((way) => way === 'uplink vpn'),
  );
}

/** A tunnel as OpenVPN makes it: the device, all else by it in halves, and the server by the link. */
async function carry(
  layer: 'tun' | 'tap',
  { family, server, gateway }: Outer,
  how: How,
  join: readonly string[] = [],
): Promise<string> {
  const device = `${layer}0`;
  const args = [HOLDER, device, layer, server, `${OUTER_PORT}`, how];
  holder = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, ...join, root.program(VPN), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  said = [];
  if (holder.stdout === null) throw new Error('no output');
  createInterface({ input: holder.stdout }).on('line', (line) => said.push(line));
  await eventually(
    () => said,
    (lines) => lines.includes('here'),
  );
  said = [];
  ip(`-${family}`, 'route', 'add', server, ...gateway);
  ip('addr', 'add', '10.8.0.2/24', 'dev', device);
  ip('addr', 'add', 'fd08::2/64', 'dev', device, 'nodad');
  ip('link', 'set', device, 'up');
  const [by4, by6] =
    layer === 'tun'
      ? [[], []]
      : [
          ['via', '10.8.0.1'],
          ['via', 'fd08::1'],
        ];
  if (layer === 'tap')
    for (const neighbour of ['10.8.0.1', 'fd08::1'])
      ip('neigh', 'replace', neighbour, 'lladdr', '00:00:5e:00:53:01', 'dev', device, 'nud', 'permanent');
  for (const half of ['0.0.0.0/1', '128.0.0.0/1']) ip('route', 'add', half, ...by4, 'dev', device);
  for (const half of ['::/1', '8000::/1']) ip('-6', 'route', 'add', half, ...by6, 'dev', device);
  return device;
}

/** Of the program that carries it: of this machine's, unless an uplink file says more. */
const uplinkFile = (device: string, more = ''): void =>
  root.write(
    'etc/pointsman/uplinks/vpn.yaml',
    `pointsman: 1\nuplink: vpn\ndevice: ${device}\ntype: vpn\nprobe: off\n${more}`,
  );
const GATEWAYS = 'gateway: { v4: 10.8.0.1, v6: "fd08::1" }\n';

const send = (to: string, times = TIMES): string => inDevice('/usr/bin/python3', '-c', SEND, to, `${times}`);

/** All of what a program sends into the tunnel: until its holder has sent it on, or was refused that. */
async function sendThrough(inside: string): Promise<void> {
  said = [];
  send(inside);
  await eventually(
    () => said.length,
    (told) => told >= TIMES,
  );
}

/** What arrives at the tunnel's other end of what goes in, and whether more than that goes in. */
async function throughTunnel(device: string, inside: string) {
  const before = { arrived: arrived(), into: sentInto(device) };
  await sendThrough(inside);
  const seen = await eventually(
    () => ({ arrived: arrived() - before.arrived, errors: said.filter((line) => line !== 'sent') }),
    ({ arrived: now, errors }) => now + errors.length >= TIMES,
  );
  return { ...seen, isLoop: sentInto(device) - before.into > TIMES + HOUSEKEEPING };
}

const ARRIVES = { arrived: TIMES, errors: [], isLoop: false };

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  const rule = `udp dport ${OUTER_PORT} counter name outer drop`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\ncounter outer {}\nchain c {\ntype filter hook prerouting priority -400;\n${rule}\n}\n}\n`,
  });
  daemon = await machine.startDaemon();
});

afterEach(async () => {
  for (const { family, server } of OUTERS) {
    try {
      ip(`-${family}`, 'route', 'del', server);
    } catch {
      // Of the other family.
    }
  }
  holder?.kill('SIGKILL');
  if (holder?.exitCode === null && holder.signalCode === null) await once(holder, 'close');
  if (existsSync(CGROUP)) rmdirSync(CGROUP);
  for (const file of ['uplinks/vpn', 'policies/vpn', 'default']) root.removeFile(`etc/pointsman/${file}.yaml`);
  await daemon.reload();
});

afterAll(async () => {
  holder?.kill('SIGKILL');
  await machine?.[Symbol.asyncDispose]();
});

const CASES = OUTERS.flatMap((outer) =>
  (['tun', 'tap'] as const).flatMap((layer) =>
    (['connected', 'unconnected', 'fresh'] as const).map((how) => [layer, how, outer] as const),
  ),
);

describe('what carries a tunnel that the default’s via takes', () => {
  it.each(CASES)('passes by the system’s routes: a %s device by %s sockets, %o', async (layer, how, outer) => {
    const device = await carry(layer, outer, how);
    uplinkFile(device, layer === 'tap' ? GATEWAYS : '');
    root.write('etc/pointsman/default.yaml', DEFAULT);
    await daemon.reload();
    await untilTaken();
    for (const inside of Object.values(INSIDE)) expect(await throughTunnel(device, inside)).toEqual(ARRIVES);
    // Flows that live are looked at anew, and go on.
    root.write('etc/pointsman/default.yaml', DEFAULT.replace('require:', 'prefer: { name: vpn }, require:'));
    await daemon.reload();
    expect(await throughTunnel(device, INSIDE[4])).toEqual(ARRIVES);
  });

  it.each(OUTERS)('passes where its holder is in a cgroup, by sockets that nobody has seen yet: %o', async (outer) => {
    mkdirSync(CGROUP);
    const device = await carry('tun', outer, 'fresh', ['/bin/sh', '-c', JOIN_AND_EXEC, 'sh', CGROUP]);
    uplinkFile(device);
    root.write('etc/pointsman/default.yaml', DEFAULT);
    await daemon.reload();
    await untilTaken();
    for (const inside of Object.values(INSIDE)) expect(await throughTunnel(device, inside)).toEqual(ARRIVES);
    const ruleset = inDevice('nft', 'list', 'chain', 'inet', 'pointsman', 'tunnel_holders');
    expect(ruleset).toContain('@tunnel_holders_cgroup');
  });

  it('is refused at once where a policy for its program says so, and told', async () => {
    const [outer] = OUTERS;
    const device = await carry('tun', outer, 'fresh');
    uplinkFile(device);
    root.write('etc/pointsman/default.yaml', DEFAULT);
    root.policy(VPN, 'otherwise: allow\nvia: { require: { type: vpn }, local: via, else: block }\n');
    await daemon.reload();
    await untilTaken();
    const before = { arrived: arrived(), into: sentInto(device) };
    await sendThrough(INSIDE[4]);
    const { flows } = await daemon.ask<Explanation>('POST', '/v1/explain', {
      pid: holder?.pid,
      host: SERVER4,
      port: OUTER_PORT,
      protocol: 'udp',
    });
    expect(flows).toMatchObject([{ verdict: 'reject', cause: 'own-tunnel' }]);
    const warned = await daemon.status();
    expect(warned.warnings).toContainEqual(
      expect.objectContaining({ code: 'own-tunnel', message: expect.stringMatching(/tun0.*vpn\.yaml:5/) }),
    );
    expect(flows[0]?.reason).toMatch(/vpn\.yaml:5.*tunnel tun0/);
    // Whatever was under way has arrived when this does.
    root.removeFile('etc/pointsman/policies/vpn.yaml');
    await daemon.reload();
    expect(await throughTunnel(device, INSIDE[4])).toEqual(ARRIVES);
    expect(arrived() - before.arrived).toBe(TIMES);
    expect(sentInto(device) - before.into).toBeLessThan(2 * TIMES + HOUSEKEEPING);
  });
});
