/**
 * An application with one rule that has a `via`, on a machine whose main table has a VPN's two halves of everything: what nobody
 * states a way for goes into the VPN, whatever the sockets were marked for or are bound to. The other end counts.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/api/explanation.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  DEVICE,
  eventually,
  FIRST,
  inDevice,
  NET,
  once,
  SECOND,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

const OTHER4 = '198.51.100.7';
const OTHER6 = '2001:db8:b::7';
const STATED_PORT = 80;
const OTHER_PORT = 90;
const ECHO_SERVER = fileURLToPath(new URL('./daemon/echo_server.py', import.meta.url));
/** One datagram from an address of its choice; prints what the server saw. */
const BOUND = `
import socket, sys
source, kind, host, port = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(5)
s.bind((source, 0))
s.connect((host, int(port)))
s.send(b"x\\n")
print(s.recv(99).decode().strip())
`;

let machine: Machine;
let daemon: DaemonProcess;
let server: ChildProcess | undefined;
let pinger: string;

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

beforeAll(async () => {
  machine = await Machine.build();
  const { root } = machine;
  for (const address of [`${OTHER4}/32`, `${OTHER6}/128`]) ip('-n', NET, 'addr', 'add', address, 'dev', 'lo');
  server = spawn('nsenter', [
    `--net=/run/netns/${NET}`,
    '/usr/bin/python3',
    ECHO_SERVER,
    OTHER4,
    OTHER6,
    `${OTHER_PORT}`,
  ]);
  await new Promise((resolve) => server?.stdout?.once('data', resolve));
  for (const half of ['0.0.0.0/1', '128.0.0.0/1'])
    ip('-n', DEVICE, 'route', 'add', half, 'via', '10.9.2.1', 'dev', 'u2');
  for (const half of ['::/1', '8000::/1'])
    ip('-n', DEVICE, '-6', 'route', 'add', half, 'via', 'fd09:2::1', 'dev', 'u2');
  const rules = `rules: [{ to: ["${SERVER4}", "${SERVER6}"], do: allow, via: { require: { name: wifi }, else: block } }]\notherwise: allow\n`;
  root.policy('app', rules);
  pinger = join(root.dir, 'bin', 'pinger');
  root.program('app');
  copyFileSync(realpathSync('/usr/bin/ping'), pinger);
  root.policy('pinger', rules, pinger);
  const counted = [OTHER4, OTHER6].flatMap((address) =>
    ['n1', 'n2'].map(
      (device) => `iifname "${device}" ${address.includes(':') ? 'ip6' : 'ip'} daddr ${address} counter`,
    ),
  );
  const table = `table inet counts {\n chain arrived {\n type filter hook prerouting priority -400;\n${counted.join('\n')}\n}\n}\n`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], { input: table });
  daemon = await machine.startDaemon();
  await eventually(
    () => daemon.status(),
    ({ uplinks }) => uplinks.length === 2 && uplinks.every(({ up }) => up),
  );
});

afterAll(async () => {
  server?.kill('SIGKILL');
  await machine?.[Symbol.asyncDispose]();
});

/** Packets to the other addresses, by the link that they came in by. */
function arrived(device: 'n1' | 'n2'): number {
  const text = execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', 'list', 'table', 'inet', 'counts'], {
    encoding: 'utf8',
  });
  const lines = text.split('\n').filter((line) => line.includes(`iifname "${device}"`));
  return lines.reduce((sum, line) => sum + Number(/packets (\d+)/.exec(line)?.[1] ?? 0), 0);
}

const SENDINGS = ['tcp', 'udp', 'udp-unconnected'] as const;
const bound = (program: string, ...args: readonly string[]): string => inDevice(program, '-c', BOUND, ...args).trim();

describe('an application with a rule that has a via, beside a VPN for all', () => {
  it.each(
    SENDINGS.flatMap(
      (kind) =>
        [
          [kind, SERVER4, FIRST.v4],
          [kind, SERVER6, FIRST.v6],
        ] as const,
    ),
  )('sends what the rule is about by its uplink (%s to %s)', async (kind, host, seen) => {
    expect(await once(machine.root, 'app', kind, host, STATED_PORT)).toBe(seen);
  });

  it.each(
    SENDINGS.flatMap(
      (kind) =>
        [
          [kind, OTHER4, SECOND.v4],
          [kind, OTHER6, SECOND.v6],
        ] as const,
    ),
  )('sends everything else into the VPN (%s to %s)', async (kind, host, seen) => {
    expect(await once(machine.root, 'app', kind, host, OTHER_PORT)).toBe(seen);
  });

  it.each([
    ['tcp', OTHER4, FIRST.v4, SECOND.v4],
    ['udp', OTHER4, FIRST.v4, SECOND.v4],
    ['tcp', OTHER6, FIRST.v6, SECOND.v6],
    ['udp', OTHER6, FIRST.v6, SECOND.v6],
  ])(
    'sends into the VPN what is bound to the other uplink’s address, and gets answers (%s to %s)',
    (kind, host, source, seen) => {
      expect(bound(machine.root.program('app'), source, kind, host, `${OTHER_PORT}`)).toBe(seen);
      // The same of a program that nobody names.
      expect(bound('/usr/bin/python3', source, kind, host, `${OTHER_PORT}`)).toBe(seen);
    },
  );

  it.each([OTHER4, OTHER6])('pings %s through the VPN', (host) => {
    expect(inDevice(pinger, '-c', '1', '-W', '5', host)).toContain('1 received');
  });

  it('explains it as it is', async () => {
    const of = async (to: string): Promise<Explanation> =>
      await daemon.ask<Explanation>('POST', '/v1/explain', {
        exe: machine.root.program('app'),
        host: to,
        port: OTHER_PORT,
        protocol: 'tcp',
      });
    expect(await of(OTHER4)).toMatchObject({ flows: [{ verdict: 'accept', way: "the system's route" }] });
    expect(await of(SERVER4)).toMatchObject({ flows: [{ verdict: 'accept', way: expect.stringContaining('wifi') }] });
  });

  it('has sent nothing of it by the uplink of the rule', () => {
    expect(arrived('n1')).toBe(0);
    expect(arrived('n2')).toBeGreaterThanOrEqual(16);
  });
});
