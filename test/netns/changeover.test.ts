/**
 * What becomes of sockets that are open when their uplink goes, or a better one comes back: by the policy's `existing` and
 * `duration`. The program that waits is asked what it heard, and the server which address it saw.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { type OpenSocket, Probe, type SocketKind } from './support/probe.ts';
import { until } from './support/until.ts';
import { type Loss, loseWifi, restoreWifi } from './support/wifi-link.ts';

const ECHO_PORT = 7;
/** By then it has happened, or it does not. */
const HEARD_MS = 20_000;
const SILENT_MS = 400;
const KINDS: readonly SocketKind[] = ['tcp', 'udp-connected', 'udp'];
const APP = 'org.example.Moves';

const SERVER = INTERNET_HOSTS[2];
if (SERVER === undefined) throw new Error('the lab has changed');
const HOSTS = [SERVER.v4, SERVER.v6];

function addressesOf(name: string): readonly string[] {
  return LAB_UPLINKS.filter((uplink) => uplink.name === name).flatMap(({ access }) => [access.v4.near, access.v6.near]);
}
const WIFI = addressesOf('wifi');
const CELLULAR = addressesOf('cellular');

let device: Device;
let python: string;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('moves');
  python = device.copyOfPython('moves');
  device.writePolicy(APP, `exec: ${python}`, policy('keep'));
  await device.startDaemon();
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const policy = (existing: string, more = ''): string =>
  `otherwise: allow\nvia: { prefer: { type: wifi } }\nexisting: ${existing}\n${more}`;

async function govern(existing: string, more?: string): Promise<void> {
  device.writePolicy(APP, `exec: ${python}`, policy(existing, more));
  const reloaded = await device.pointsman('reload');
  expect(reloaded).toMatchObject({ exitCode: 0 });
  await device.untilUplink('wifi', true);
}

const socketsNamed = (prefix: string): OpenSocket[] =>
  KINDS.flatMap((kind) => HOSTS.map((host) => ({ id: `${prefix} ${kind} ${host}`, kind, host, port: ECHO_PORT })));
const connected = (sockets: readonly OpenSocket[]): OpenSocket[] => sockets.filter(({ kind }) => kind !== 'udp');
const unconnected = (sockets: readonly OpenSocket[]): OpenSocket[] => sockets.filter(({ kind }) => kind === 'udp');

/** Opens all, each with an echo; the addresses that the server saw. */
async function open(program: Probe, sockets: readonly OpenSocket[]): Promise<readonly string[]> {
  const from = device.seenEnd();
  for (const socket of sockets)
    expect([socket.id, await program.openAndEcho(socket)]).toEqual([socket.id, { ok: true, echoed: true }]);
  return device.seenSince(from).map(({ client }) => client);
}

/** A datagram there and back on each: whence the server saw it come. */
async function datagrams(program: Probe, sockets: readonly OpenSocket[]): Promise<readonly string[]> {
  const from = device.seenEnd();
  for (const { id } of sockets) {
    await until(`an answer to ${id}`, async () => {
      const answer = await program.echo(id, SILENT_MS);
      return answer.ok && answer.echoed === true;
    });
  }
  return device.seenSince(from).map(({ client }) => client);
}

async function expectAborted(program: Probe, sockets: readonly OpenSocket[]): Promise<void> {
  for (const { id } of connected(sockets))
    expect([id, await program.wait(id, HEARD_MS)]).toEqual([id, { ok: false, error: 'ECONNABORTED' }]);
}

async function expectUntouched(program: Probe, sockets: readonly OpenSocket[]): Promise<void> {
  for (const { id } of connected(sockets))
    expect([id, await program.wait(id, SILENT_MS)]).toEqual([id, { ok: false, error: 'timeout' }]);
}

async function withoutWifi(loss: Loss, during: () => Promise<void>): Promise<void> {
  await loseWifi(device, loss);
  try {
    await device.untilUplink('wifi', false);
    await during();
  } finally {
    await restoreWifi(device, loss);
    await device.untilUplink('wifi', true);
  }
}

describe('existing: keep', () => {
  beforeEach(() => govern('keep'));

  it('keep leaves sockets on their uplink while it is down, and they go on when it is back', async () => {
    await using program = Probe.start(device, [python]);
    const before = socketsNamed('before');
    expect(new Set(await open(program, before))).toEqual(new Set(WIFI));
    await withoutWifi('carrier lost', async () => {
      await expectUntouched(program, before);
      expect(new Set(await open(program, socketsNamed('meanwhile')))).toEqual(new Set(CELLULAR));
    });
    expect(new Set(await datagrams(program, unconnected(before)))).toEqual(new Set(WIFI));
    for (const { id } of connected(before)) expect([id, await program.echo(id)]).toMatchObject([id, { ok: true }]);
    // Nor does the better uplink draw back what began on the other.
    const meanwhile = socketsNamed('meanwhile');
    await expectUntouched(program, meanwhile);
    expect(new Set(await datagrams(program, unconnected(meanwhile)))).toEqual(new Set(CELLULAR));
  });
});

describe('existing: drain', () => {
  beforeEach(() => govern('drain'));

  it.each(['link set down', 'carrier lost', 'device deleted'] as const)(
    'drain ends sockets whose uplink is lost (%s), and leaves those alone whose uplink works',
    async (loss) => {
      await using program = Probe.start(device, [python]);
      const before = socketsNamed('before');
      expect(new Set(await open(program, before))).toEqual(new Set(WIFI));
      const meanwhile = socketsNamed('meanwhile');
      await withoutWifi(loss, async () => {
        await expectAborted(program, before);
        expect(new Set(await datagrams(program, unconnected(before)))).toEqual(new Set(CELLULAR));
        expect(new Set(await open(program, meanwhile))).toEqual(new Set(CELLULAR));
      });
      await expectUntouched(program, meanwhile);
      expect(new Set(await datagrams(program, unconnected(meanwhile)))).toEqual(new Set(CELLULAR));
      expect(new Set(await open(program, socketsNamed('again')))).toEqual(new Set(WIFI));
    },
  );
});

describe('an address that is lost while its uplink works', () => {
  it.each([
    ['drain', true],
    ['keep', false],
  ] as const)('%s ends connections that have it, and no others: %s', async (existing, ends) => {
    const [wifi] = LAB_UPLINKS;
    const near = wifi?.access.v6.near ?? '';
    const other = near.replace(/[^:]+$/, '99');
    const add = (address: string) => ['ip', 'addr', 'add', `${address}/64`, 'dev', 'wifi0', 'nodad'];
    const remove = (address: string) => ['ip', 'addr', 'del', `${address}/64`, 'dev', 'wifi0'];
    await govern(existing);
    await using program = Probe.start(device, [python]);
    const [v4, v6] = HOSTS.map((host): OpenSocket[] => socketsNamed('before').filter((socket) => socket.host === host));
    await open(program, [...(v4 ?? []), ...(v6 ?? [])]);
    const untilHas = (address: string) =>
      device.untilStatus(address, ({ uplinks }) => uplinks.some(({ addresses }) => addresses.includes(address)));
    await device.must('device', add(other));
    try {
      await untilHas(other);
      await device.must('device', remove(near));
      if (ends) await expectAborted(program, v6 ?? []);
      else await expectUntouched(program, v6 ?? []);
      await expectUntouched(program, v4 ?? []);
      if (ends) expect(new Set(await datagrams(program, unconnected(v6 ?? [])))).toEqual(new Set([other]));
    } finally {
      await device.must('device', add(near));
      await device.must('device', remove(other));
      await untilHas(near);
    }
  });
});

describe('existing: abort', () => {
  it('abort ends sockets when their uplink is lost, and again when the better one is back', async () => {
    await govern('abort');
    await using program = Probe.start(device, [python]);
    const before = socketsNamed('before');
    expect(new Set(await open(program, before))).toEqual(new Set(WIFI));
    const meanwhile = socketsNamed('meanwhile');
    await withoutWifi('carrier lost', async () => {
      await expectAborted(program, before);
      expect(new Set(await open(program, meanwhile))).toEqual(new Set(CELLULAR));
    });
    await expectAborted(program, meanwhile);
    expect(new Set(await datagrams(program, unconnected(meanwhile)))).toEqual(new Set(WIFI));
  });

  it('abort never moves connections that are meant to last to a better uplink', async () => {
    await govern('abort', 'needs: { duration: long }\n');
    await using program = Probe.start(device, [python]);
    const before = socketsNamed('before');
    await open(program, before);
    const meanwhile = socketsNamed('meanwhile');
    await withoutWifi('carrier lost', async () => {
      await expectAborted(program, before);
      expect(new Set(await open(program, meanwhile))).toEqual(new Set(CELLULAR));
    });
    await expectUntouched(program, meanwhile);
    expect(new Set(await datagrams(program, unconnected(meanwhile)))).toEqual(new Set(CELLULAR));
  });

  it('abort leaves sockets of programs alone that no policy moves', async () => {
    await govern('abort');
    const other = device.copyOfPython('stays');
    device.writePolicy('org.example.Stays', `exec: ${other}`, 'otherwise: allow\nvia: { prefer: { type: wifi } }');
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    await using program = Probe.start(device, [other]);
    const before = socketsNamed('before');
    expect(new Set(await open(program, before))).toEqual(new Set(WIFI));
    await withoutWifi('carrier lost', () => expectUntouched(program, before));
    for (const { id } of connected(before)) expect([id, await program.echo(id)]).toMatchObject([id, { ok: true }]);
  });
});
