/** What holds from a file before any daemon has run, and how the first daemon takes its place. The other end counts. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { TABLE } from '../../src/plan/reserved.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const hostsOf = (name: string): typeof INTERNET_HOSTS =>
  INTERNET_HOSTS.filter((host) => host.name === `${name}.example.org`);
const HOSTS = hostsOf('updates');
const ECHO = 7;
const KINDS = ['tcp', 'udp', 'udp-connected'] as const;
const ANSWERED = Array.from({ length: 6 }, () => 'answered');
const REFUSED = ['ECONNREFUSED', 'ECONNREFUSED', 'EPERM', 'EPERM', 'EPERM', 'EPERM'];
const BY_WIFI = { outcomes: ANSWERED, wifi: true, cellular: false };
const BY_CELLULAR = { outcomes: ANSWERED, wifi: false, cellular: true };
const NOTHING = { outcomes: REFUSED, wifi: false, cellular: false };
/** `nobody` and another one, by number: there are no accounts to look up. */
const NOBODY = 65_534;
const SOMEBODY = 54_321;
const EVERYBODY_DENIED = 'otherwise: deny';
const ONLY_CELLULAR = 'otherwise: allow\nvia: { require: { type: cellular }, else: block }';

let device: Device;
let untouched: KernelState;
let daemon: Daemon | undefined;
const programs = { denied: '', routed: '', stranger: '' };

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('static');
  untouched = await kernelState(device);
  for (const name of ['denied', 'routed', 'stranger'] as const) programs[name] = device.copyOfPython(name);
});

afterEach(async () => {
  if (daemon !== undefined && daemon.ending === undefined) await daemon.stop();
  await device.pointsman('down');
  for (const below of ['etc/pointsman/policies', 'etc/pointsman/default.yaml', 'boot']) device.remove(below);
  expect(await changesSince(device, untouched)).toEqual([]);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** What it gets, and by which link what it sent arrived: counted there. */
async function outcomesOf(command: readonly string[]) {
  await using probe = Probe.start(device, command);
  await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
  await using cellular = await Witness.start(device, { part: 'cell', hosts: HOSTS });
  const outcomes: string[] = [];
  for (const kind of KINDS) {
    for (const host of HOSTS.flatMap(({ v4, v6 }) => [v4, v6])) {
      const answer = await probe.openAndEcho({ id: `${kind} ${host}`, kind, host, port: ECHO, timeoutMs: 5000 });
      outcomes.push(answer.ok ? 'answered' : answer.error);
    }
  }
  return { outcomes, wifi: (await wifi.counted()) > 0, cellular: (await cellular.counted()) > 0 };
}

const asUser = (uid: number): readonly string[] => [
  '/usr/bin/setpriv',
  `--reuid=${uid}`,
  `--regid=${uid}`,
  '--clear-groups',
  '/usr/bin/python3',
];

function writePrograms(): void {
  device.writePolicy('org.example.Denied', `exec: ${programs.denied}`, EVERYBODY_DENIED);
  device.writePolicy('org.example.Routed', `exec: ${programs.routed}`, ONLY_CELLULAR);
}

/** As something that starts before the network does it: without Node. */
async function loadStatic() {
  const written = await device.pointsman('plan', '--static', device.path('boot'), '--json');
  expect(written).toMatchObject({ exitCode: 0 });
  await device.must('device', ['/usr/sbin/nft', '-f', device.path('boot/pointsman.nft')]);
  return JSON.parse(written.stdout);
}

describe('plan --static', () => {
  it('lets nothing of a denied program, and of one that may leave by one uplink alone, out before a daemon is there', async () => {
    writePrograms();
    // Without it.
    expect(await outcomesOf([programs.denied])).toEqual(BY_WIFI);
    expect(await outcomesOf([programs.routed])).toEqual(BY_WIFI);
    expect(await loadStatic()).toEqual({
      file: device.path('boot/pointsman.nft'),
      format: 1,
      whenAway: 'closed',
      untold: [
        { app: 'org.example.Denied', match: [`exec ${programs.denied}`] },
        { app: 'org.example.Routed', match: [`exec ${programs.routed}`] },
      ],
    });
    for (const program of Object.values(programs)) expect(await outcomesOf([program])).toEqual(NOTHING);
    expect(await device.pointsman('status')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('the daemon has not started yet'),
    });
    // Twice is once.
    await loadStatic();
    expect(await device.pointsman('down')).toMatchObject({ exitCode: 0 });
    expect(await outcomesOf([programs.denied])).toEqual(BY_WIFI);
  });

  it('lets loopback, DHCP, neighbours and answers pass', async () => {
    writePrograms();
    await loadStatic();
    const talksToItself =
      'import socket\nfor f, h in ((2, "127.0.0.1"), (10, "::1")):\n' +
      '  s = socket.socket(f, 1); s.bind((h, 0)); s.listen(); socket.create_connection(s.getsockname()[:2]); s.accept()\n' +
      'print("talked")';
    expect(await device.run([programs.denied, '-c', talksToItself])).toMatchObject({ stdout: 'talked\n' });
    await device.must('wifi', ['nft', '-f', '-'], DHCP_COUNTER);
    try {
      const asks =
        'import socket\ns = socket.socket(2, 2); s.setsockopt(1, 6, 1); s.setsockopt(1, 25, b"wifi0")\n' +
        's.bind(("0.0.0.0", 68)); s.sendto(b"x" * 300, ("255.255.255.255", 67))';
      expect(await device.run(['/usr/bin/python3', '-c', asks])).toMatchObject({ exitCode: 0 });
      await until('the request to arrive', async () => (await dhcpSeen()) > 0);
      // The device has to tell its neighbour who it is before it can answer.
      await device.must('wifi', ['ip', '-6', 'neigh', 'flush', 'dev', 'inside']);
      const addresses = await device.must('device', ['ip', '-j', 'addr', 'show', 'wifi0']);
      const { addr_info } = JSON.parse(addresses)[0] as {
        readonly addr_info: readonly { readonly local: string; readonly scope: string }[];
      };
      const own = addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local);
      expect(own).toHaveLength(2);
      for (const address of own) await device.must('wifi', ['ping', '-c', '1', '-W', '10', address]);
    } finally {
      await device.must('wifi', ['nft', 'delete', 'table', 'ip', 'asked']);
    }
  });

  it('decides users where policies name nobody else', async () => {
    device.writePolicy('org.example.Nobody', `user: "${NOBODY}"`, EVERYBODY_DENIED);
    device.writePolicy(
      'org.example.Somebody',
      `user: "${SOMEBODY}"`,
      `rules:\n  - { to: ["${HOSTS[0]?.v4}", "${HOSTS[0]?.v6}"], do: allow }\notherwise: deny`,
    );
    expect(await loadStatic()).toMatchObject({ untold: [] });
    expect(await outcomesOf(asUser(NOBODY))).toEqual(NOTHING);
    expect(await outcomesOf(asUser(SOMEBODY))).toEqual(BY_WIFI);
    expect(await outcomesOf([programs.stranger])).toEqual(BY_WIFI);
    const [other] = hostsOf('tracker');
    await using probe = Probe.start(device, asUser(SOMEBODY));
    const tracker = { id: 'other', kind: 'tcp', host: other?.v4 ?? '', port: ECHO } as const;
    expect(await probe.openAndEcho(tracker)).toEqual({ ok: false, error: 'ECONNREFUSED' });
  });

  it('lets what only the daemon tells pass where the files say open, and still decides users', async () => {
    writePrograms();
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\nwhenAway: open\n');
    device.writePolicy('org.example.Nobody', `user: "${NOBODY}"`, EVERYBODY_DENIED);
    expect(await loadStatic()).toMatchObject({ whenAway: 'open' });
    expect(await outcomesOf([programs.denied])).toEqual(BY_WIFI);
    expect(await outcomesOf(asUser(NOBODY))).toEqual(NOTHING);
  });

  it('the first daemon takes its place, and nothing gets out meanwhile that may not', async () => {
    writePrograms();
    await loadStatic();
    await startWhileTheySend();
    expect(await device.must('device', ['nft', 'list', 'chains', 'inet'])).not.toContain('before_first_start');
    expect(await outcomesOf([programs.denied])).toEqual(NOTHING);
    expect(await outcomesOf([programs.routed])).toEqual(BY_CELLULAR);
    expect(await outcomesOf([programs.stranger])).toEqual(BY_WIFI);
  });

  it('a connection that it let out is decided by the daemon, not remembered', async () => {
    device.writePolicy('org.example.Somebody', `user: "${SOMEBODY}"`, 'otherwise: allow');
    await loadStatic();
    await using probe = Probe.start(device, asUser(SOMEBODY));
    const connection = { id: 'lasting', kind: 'tcp', host: HOSTS[0]?.v4 ?? '', port: ECHO } as const;
    expect(await probe.openAndEcho(connection)).toMatchObject({ ok: true });
    device.writePolicy('org.example.Somebody', `user: "${SOMEBODY}"`, EVERYBODY_DENIED);
    daemon = await device.startDaemon();
    expect(await probe.echo('lasting')).toMatchObject({ ok: false });
  });

  it('is no gap while it is loaded again, and nothing but our table', async () => {
    writePrograms();
    const before = await device.must('device', ['nft', 'list', 'tables']);
    await loadStatic();
    const after = await device.must('device', ['nft', 'list', 'tables']);
    expect(after.replace(`table inet ${TABLE}\n`, '')).toBe(before);
  });

  it('says why it cannot be written', async () => {
    device.write('boot', 'a file');
    const refused = await device.pointsman('plan', '--static', device.path('boot/below'));
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(device.path('boot/below/pointsman.nft')),
    });
    expect(await device.pointsman('plan', '--static', device.path('x'), '--diff')).toMatchObject({ exitCode: 2 });
  });
});

/** Starts the daemon while programs begin connections again and again, until one that may leave has done so. */
async function startWhileTheySend(): Promise<void> {
  const tracker = hostsOf('tracker');
  const demo = hostsOf('demo');
  await using wifi = await Witness.start(device, { part: 'wifi', hosts: [...tracker, ...demo] });
  await using cellular = await Witness.start(device, { part: 'cell', hosts: tracker });
  await using denied = Probe.start(device, [programs.denied]);
  await using routed = Probe.start(device, [programs.routed]);
  const sends = [
    { program: denied, hosts: tracker },
    { program: routed, hosts: demo },
  ].flatMap(({ program, hosts }) =>
    (['tcp', 'udp-connected'] as const).flatMap((kind) =>
      hosts.flatMap(({ v4, v6 }) => [v4, v6]).map((host) => ({ program, id: `${kind} ${host}`, kind, host })),
    ),
  );
  for (const { program, id, kind, host } of sends)
    await program.churn({ id, kind, host, port: ECHO, timeoutMs: 10_000, everyMs: 5 });
  const ofRouted = sends.filter(({ program }) => program === routed);
  const received = async (): Promise<number> => {
    const all = await Promise.all(ofRouted.map(({ program, id }) => program.counts(id)));
    return Math.min(...all.map((counts) => Number((counts as unknown as { readonly received: number }).received)));
  };
  expect(await received()).toBe(0);
  daemon = await device.startDaemon();
  await until('what may leave by cellular to do so', async () => (await received()) > 20);
  const counts = await denied.counts(sends[0]?.id ?? '');
  expect(counts).toMatchObject({ sent: 0, received: 0 });
  for (const { program, id } of sends) await program.endStream(id);
  expect([await wifi.counted(), await cellular.counted()]).toEqual([0, 0]);
}

const DHCP_COUNTER = `table ip asked {
  counter dhcp {}
  chain prerouting {
    type filter hook prerouting priority -400;
    iifname "inside" udp dport 67 counter name dhcp
  }
}
`;

async function dhcpSeen(): Promise<number> {
  const text = await device.must('wifi', ['nft', '-j', 'list', 'counters', 'table', 'ip', 'asked']);
  const listing = JSON.parse(text) as { readonly nftables: readonly { readonly counter?: { packets: number } }[] };
  return listing.nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}
