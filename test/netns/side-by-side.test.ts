/** What is not ours stays as it is: other daemons, other people's tables, rules, routes and mark bits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Probe } from './support/probe.ts';

const REFUSED = 7;
const OK = 0;
const SERVER = '203.0.113.10';
const CT_MARK = 0x00420000;
const SOCKET_MARK = 0x00370000;
const OTHER_SOCKET_MARK = 0x00110000;

let left: Device;
let right: Device;

beforeAll(async () => {
  await buildProgram();
  left = await Device.build('left');
  right = await Device.build('right');
});

afterAll(async () => {
  await left?.[Symbol.asyncDispose]();
  await right?.[Symbol.asyncDispose]();
});

const curl = async (device: Device): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${SERVER}/`])).exitCode;
const writePolicy = (device: Device, verb: 'allow' | 'deny'): void =>
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', `otherwise: ${verb}`);

describe('side by side', () => {
  it('two daemons with two roots in two namespaces know nothing of each other', async () => {
    writePolicy(left, 'deny');
    writePolicy(right, 'allow');
    const beforeRight = await kernelState(right);
    await left.startDaemon();
    expect(await changesSince(right, beforeRight)).toEqual([]);
    await right.startDaemon();
    expect([await curl(left), await curl(right)]).toEqual([REFUSED, OK]);
    writePolicy(right, 'deny');
    await right.pointsman('reload');
    writePolicy(left, 'allow');
    await left.pointsman('reload');
    expect([await curl(left), await curl(right)]).toEqual([OK, REFUSED]);
    expect(await left.pointsman('down')).toMatchObject({ exitCode: OK });
    expect(await curl(right)).toBe(REFUSED);
    expect(await right.pointsman('down')).toMatchObject({ exitCode: OK });
    expect(await changesSince(right, beforeRight)).toEqual([]);
  });

  it('up, traffic and down leave all that is foreign as it was', async () => {
    await foreignObjects(left);
    writePolicy(left, 'deny');
    const before = await kernelState(left);
    const daemon = await left.startDaemon();
    expect(await curl(left)).toBe(REFUSED);
    const during = await kernelState(left);
    expectContains(during, before);
    expect(await left.pointsman('down')).toMatchObject({ exitCode: OK });
    expect(await daemon.ended()).toBe('exit code 0');
    expect(await changesSince(left, before)).toEqual([]);
  });

  it('mark bits of others survive on packets and connections, for governed and ungoverned programs', async () => {
    const python = right.copyOfPython('probe');
    right.writePolicy(
      'org.example.Probe',
      `exec: ${python}`,
      'otherwise: allow\nvia: { require: { type: cellular }, else: block }',
    );
    await right.must('device', ['nft', '-f', '-'], markWitness());
    const daemon = await right.startDaemon();
    for (const executable of [python, '/usr/bin/python3']) {
      await using program = Probe.start(right, [executable]);
      const from = right.seenEnd();
      for (const [index, port] of [
        [0, 7],
        [1, 22],
        [2, 443],
      ] as const) {
        const mark = port === 22 ? SOCKET_MARK : port === 443 ? OTHER_SOCKET_MARK : undefined;
        const socket = {
          id: `${index}`,
          kind: 'tcp',
          host: SERVER,
          port,
          ...(mark === undefined ? {} : { mark }),
        } as const;
        expect(await program.open(socket)).toEqual({ ok: true });
      }
      expect(await program.echo('0')).toEqual({ ok: true, echoed: true });
      const clients = new Set(right.seenSince(from).map(({ client }) => client));
      expect(clients).toEqual(new Set([executable === python ? '10.20.30.2' : '192.168.10.2']));
    }
    const counters = await witnessed(right);
    expect(counters.ct_kept).toBeGreaterThan(0);
    expect(counters.socket_kept).toBeGreaterThan(0);
    expect(counters.other_kept).toBeGreaterThan(0);
    expect(counters).toMatchObject({ ct_lost: 0, socket_lost: 0, other_lost: 0 });
    await daemon.stop();
  });
});

async function foreignObjects(device: Device): Promise<void> {
  const commands = [
    ['ip', 'rule', 'add', 'pref', '5200', 'fwmark', '0x80000/0xff0000', 'lookup', '52'],
    ['ip', '-6', 'rule', 'add', 'pref', '5200', 'fwmark', '0x80000/0xff0000', 'lookup', '52'],
    ['ip', 'rule', 'add', 'pref', '32764', 'not', 'fwmark', '0xca6c', 'lookup', '51820'],
    ['ip', 'route', 'add', '100.64.0.0/10', 'dev', 'lan0', 'table', '52', 'proto', 'static'],
    ['ip', 'route', 'add', '198.18.0.0/15', 'via', '192.168.77.10', 'proto', 'bird'],
    ['ip', '-6', 'route', 'add', 'fd99::/64', 'via', 'fd77::10', 'table', '52', 'proto', 'static'],
    [
      'iptables-nft',
      '-t',
      'mangle',
      '-A',
      'OUTPUT',
      '-d',
      '198.18.0.1',
      '-j',
      'MARK',
      '--set-mark',
      '0x80000/0xff0000',
    ],
    ['iptables-nft', '-t', 'mangle', '-A', 'OUTPUT', '-d', '198.18.0.2', '-j', 'ACCEPT'],
    ['iptables-nft', '-t', 'filter', '-A', 'INPUT', '-s', '198.18.0.3', '-j', 'DROP'],
  ];
  for (const command of commands) await device.must('device', command);
  const ruleset = 'table inet pointsmans_neighbour { chain c { type filter hook output priority 0; counter; }; }';
  await device.must('device', ['nft', ruleset]);
}

/** Every foreign line is still there while ours stand beside it. */
function expectContains(during: KernelState, before: KernelState): void {
  for (const key of ['nft', 'rules', 'routes'] as const) {
    const lines = new Set(during[key].split('\n'));
    expect(before[key].split('\n').filter((line) => !lines.has(line))).toEqual([]);
  }
}

/** Sets foreign bits before our hooks see the packet, and looks for them after the last of our hooks. */
function markWitness(): string {
  const names = ['ct_kept', 'ct_lost', 'socket_kept', 'socket_lost', 'other_kept', 'other_lost'];
  const check = (port: number, field: string, mark: number, name: string): string[] => [
    `tcp dport ${port} ${field} & 0x00ff0000 == ${mark} counter name ${name}_kept`,
    `tcp dport ${port} ${field} & 0x00ff0000 != ${mark} counter name ${name}_lost`,
  ];
  return `table inet witness {
${names.map((name) => `  counter ${name} {}`).join('\n')}
  chain early {
    type filter hook output priority -190;
    tcp dport 7 ct mark set ct mark & 0xff00ffff | ${CT_MARK}
  }
  chain late {
    type filter hook postrouting priority 400;
    oifname "lo" accept
    ${[
      ...check(7, 'ct mark', CT_MARK, 'ct'),
      ...check(22, 'meta mark', SOCKET_MARK, 'socket'),
      ...check(443, 'meta mark', OTHER_SOCKET_MARK, 'other'),
    ].join('\n    ')}
  }
}
`;
}

async function witnessed(device: Device): Promise<Readonly<Record<string, number>>> {
  const text = await device.must('device', ['nft', '-j', 'list', 'counters', 'table', 'inet', 'witness']);
  const { nftables } = JSON.parse(text) as {
    readonly nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
  };
  return Object.fromEntries(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
}
