/** kill -9 at the worst moments: flows that were decided go on, new ones of known programs go their way, a restart is whole. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PlanReport } from '../../src/api/request.ts';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Probe } from './support/probe.ts';
import { Witness } from './support/witness.ts';

const OK = 0;
const REFUSED = 7;
const SERVER = '203.0.113.10';
const SERVER_V6 = '2001:db8:113::10';
const ECHO_PORT = 7;

let device: Device;
let python: string;
let untouched: KernelState;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('crash');
  python = device.copyOfPython('probe');
  untouched = await kernelState(device);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const curl = async (host: string): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${host}/`])).exitCode;

/** Another one for a table that is loaded anew. */
async function tableHandle(): Promise<string | undefined> {
  const text = await device.must('device', ['nft', '-a', 'list', 'table', 'inet', 'pointsman']);
  return /^table inet pointsman \{ # handle (\d+)$/m.exec(text)?.[1];
}

function writePolicies(variant: number): void {
  device.writePolicy('org.example.Probe', `exec: ${python}`, 'otherwise: allow\nvia: { require: { type: cellular } }');
  const denied = variant % 2 === 0 ? SERVER : '203.0.113.20';
  device.writePolicy(
    'org.example.Browser',
    'exec: /usr/bin/curl',
    `rules:\n  - { to: ${denied}, do: deny }\notherwise: allow`,
  );
  for (let user = 0; user < 20; user += 1) {
    const rules = `rules:\n  - { to: "198.18.${variant % 256}.${user}", do: deny }\notherwise: allow`;
    device.writePolicy(`org.example.User${user}`, `user: ${5000 + user}`, rules);
  }
  const wired = 'pointsman: 1\nuplink: wired\ndevice: lan0\ntype: ethernet\npriority: 900\n';
  if (variant % 2 === 0) device.write(`${UPLINKS}/wired.yaml`, wired);
  else device.remove(`${UPLINKS}/wired.yaml`);
}

describe('kill -9 of the daemon', () => {
  it('kill -9 in the middle of traffic keeps decided flows going, sends new ones their way, and a restart adopts', async () => {
    writePolicies(0);
    const first = await device.startDaemon();
    const table = await tableHandle();
    await using program = Probe.start(device, [python]);
    const sockets = ['tcp', 'udp-connected'].flatMap((kind) =>
      [SERVER, SERVER_V6].map((host) => ({ id: `${kind} ${host}`, kind: kind as 'tcp' | 'udp-connected', host })),
    );
    for (const socket of sockets) {
      expect(await program.openAndEcho({ ...socket, port: ECHO_PORT })).toEqual({ ok: true, echoed: true });
      await program.stream(socket.id, 5);
    }

    await first.kill();
    for (const { id } of sockets) await program.endStream(id);
    for (const { id } of sockets) expect([id, await program.echo(id)]).toEqual([id, { ok: true, echoed: true }]);

    const host = INTERNET_HOSTS.filter(({ name }) => name === 'updates.example.org');
    const [server] = host;
    if (server === undefined) throw new Error('the lab has no updates.example.org');
    {
      await using wifi = await Witness.start(device, { part: 'wifi', hosts: host });
      await using cellular = await Witness.start(device, { part: 'cell', hosts: host });
      for (const [id, kind] of [
        ['new tcp', 'tcp'],
        ['new udp', 'udp'],
      ] as const) {
        for (const address of [server.v4, server.v6]) {
          const socket = { id: `${id} ${address}`, kind, host: address, port: ECHO_PORT };
          expect(await program.openAndEcho(socket)).toEqual({ ok: true, echoed: true });
        }
      }
      expect(wifi.captured).toEqual([]);
      expect(await wifi.counted()).toBe(0);
      expect(await cellular.counted()).toBeGreaterThan(0);
    }

    const second = await device.startDaemon();
    // What differs is changed: a table that is loaded anew drops all that waits for an answer.
    expect(await tableHandle()).toBe(table);
    for (const { id } of sockets) expect([id, await program.echo(id)]).toEqual([id, { ok: true, echoed: true }]);
    const from = device.seenEnd();
    for (const address of [SERVER, SERVER_V6]) {
      const socket = { id: `after ${address}`, kind: 'tcp', host: address, port: ECHO_PORT } as const;
      expect(await program.openAndEcho(socket)).toEqual({ ok: true, echoed: true });
    }
    // The last datagram of a stream may be on its way yet.
    const opened = device.seenSince(from).filter(({ protocol }) => protocol === 'tcp');
    const seen = opened.filter(({ server }) => server === SERVER || server === SERVER_V6);
    expect(seen.map(({ client }) => client)).toEqual(['10.20.30.2', '2001:db8:20::2']);
    expect(await second.stop()).toBe('exit code 0');
    expect(await changesSince(device, untouched)).toEqual([]);
  });

  it('kill -9 at any step of a start or a reload is made whole by the next start', async () => {
    const whole = [await wholeState(0), await wholeState(1)];
    writePolicies(0);
    let daemon = await device.startDaemon();
    for (let step = 1; step <= 20; step += 1) {
      writePolicies(step);
      if (step % 4 === 0) {
        // In the middle of a start, which adopts or replaces what the one before has left.
        await daemon.kill();
        daemon = device.spawnDaemon();
        await delay(150 + step * 25);
      } else {
        await delay(25 + step * 12);
      }
      await daemon.kill();

      daemon = await device.startDaemon();
      const plan = await device.pointsman('plan', '--diff', '--json');
      expect([step, (JSON.parse(plan.stdout) as PlanReport).diff]).toEqual([step, []]);
      if (step > 1) continue;
      expect(await curl(SERVER)).toBe(OK);
      expect(await curl('203.0.113.20')).toBe(REFUSED);
    }
    for (const variant of [0, 1]) {
      writePolicies(variant);
      expect(await device.pointsman('reload')).toMatchObject({ exitCode: OK });
      const wanted = whole[variant];
      if (wanted !== undefined)
        expect(await changesSince(device, { ...wanted, marks: (await kernelState(device)).marks })).toEqual([]);
    }
    await daemon.stop();
    expect(await changesSince(device, untouched)).toEqual([]);
  });

  it('kill -9 and then pointsman down leaves nothing', async () => {
    writePolicies(0);
    const daemon = await device.startDaemon();
    expect(await curl(SERVER)).toBe(REFUSED);
    await daemon.kill();
    expect((await kernelState(device)).nft).toContain('table inet pointsman {');
    expect(await device.pointsman('down')).toMatchObject({ exitCode: OK });
    expect(await changesSince(device, untouched)).toEqual([]);
    expect(await curl(SERVER)).toBe(OK);
  });
});

/** What a start makes of nothing. */
async function wholeState(variant: number): Promise<KernelState> {
  writePolicies(variant);
  const daemon = await device.startDaemon();
  const state = await kernelState(device);
  await daemon.stop();
  expect(await changesSince(device, untouched)).toEqual([]);
  return state;
}
