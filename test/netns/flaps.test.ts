/**
 * The kill switch: while wifi comes and goes in every way, under load, not one packet of an application with `else: block`
 * leaves by anything else. Judges are nft's counters behind all of ours on the device, and the far end of the other uplink.
 *
 * POINTSMAN_FLAPS=10000 makes it the long run.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe, type SocketKind } from './support/probe.ts';
import { until } from './support/until.ts';
import {
  LOSSES,
  type Loss,
  loseWifi,
  RENUMBERINGS,
  type Renumbering,
  renumberWifi,
  renumberWifiBack,
  restoreWifi,
} from './support/wifi-link.ts';
import { Witness } from './support/witness.ts';

const FLAPS = Number(process.env.POINTSMAN_FLAPS ?? 200);
/** Several times what a flap takes here. */
const TIMEOUT_MS = 60_000 + FLAPS * 6000;
const ECHO_PORT = 7;
const STREAM_EVERY_MS = 2;
/** At most: a flap's halves end before, while and after the daemon has dealt with them. */
const LONGEST_PAUSE_MS = 120;
const KINDS: readonly SocketKind[] = ['tcp', 'udp-connected', 'udp'];
/** What the policies say of live connections makes no difference. */
const APPS = ['keep', 'drain', 'abort'] as const;
/** Of one attempt, after the flaps. */
const ANSWER_MS = 1500;
const WATCH = 'watch';

const SERVER = INTERNET_HOSTS[2];
if (SERVER === undefined) throw new Error('the lab has changed');
const HOSTS = [SERVER.v4, SERVER.v6];
const CELLULAR = LAB_UPLINKS.filter(({ name }) => name === 'cellular').flatMap(({ access }) => [
  access.v4.near,
  access.v6.near,
]);

let device: Device;
let daemon: Daemon;
const programs: Probe[] = [];

/** Behind everything: what is counted here is on its way out. */
const watchRules = (): string => `table inet ${WATCH} {
  counter elsewhere {}
  counter by_wifi {}
  chain postrouting {
    type filter hook postrouting priority 400;
    oifname "lo" accept
    ip daddr ${SERVER.v4} oifname "wifi0" counter name by_wifi accept
    ip6 daddr ${SERVER.v6} oifname "wifi0" counter name by_wifi accept
    ip daddr ${SERVER.v4} counter name elsewhere
    ip6 daddr ${SERVER.v6} counter name elsewhere
  }
}
`;

async function counted(name: 'elsewhere' | 'by_wifi'): Promise<number> {
  const text = await device.must('device', ['nft', '-j', 'list', 'counter', 'inet', WATCH, name]);
  const { nftables } = JSON.parse(text) as { readonly nftables: readonly { readonly counter?: { packets: number } }[] };
  return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('flaps');
  await device.must('device', ['nft', '-f', '-'], watchRules());
  const pythons = APPS.map((existing) => {
    const python = device.copyOfPython(existing);
    const body = `otherwise: allow\nvia: { require: { type: wifi }, else: block }\nexisting: ${existing}`;
    device.writePolicy(`org.example.${existing}`, `exec: ${python}`, body);
    return python;
  });
  daemon = await device.startDaemon();
  await device.untilUplink('wifi', true);
  for (const python of pythons) programs.push(Probe.start(device, [python]));
});

afterAll(async () => {
  for (const program of programs) await program[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

const sockets = (what: string) =>
  KINDS.flatMap((kind) => HOSTS.map((host) => ({ id: `${what} ${kind} ${host}`, kind, host, port: ECHO_PORT })));

async function unload(program: Probe): Promise<void> {
  for (const { id } of sockets('held')) await program.endStream(id);
  for (const { id } of sockets('new').filter(({ kind }) => kind !== 'udp')) await program.endStream(id);
}

async function load(program: Probe): Promise<void> {
  for (const { id } of sockets('held')) await program.stream(id, STREAM_EVERY_MS);
  for (const socket of sockets('new').filter(({ kind }) => kind !== 'udp')) await program.churn(socket);
}

const isLoss = (kind: Loss | Renumbering): kind is Loss => (LOSSES as readonly string[]).includes(kind);
const pause = (flap: number, factor: number): Promise<void> => delay((flap * factor) % LONGEST_PAUSE_MS);

async function flap(kind: Loss | Renumbering, number: number): Promise<void> {
  if (isLoss(kind)) await loseWifi(device, kind);
  else await renumberWifi(device, kind);
  await pause(number, 37);
  if (isLoss(kind)) await restoreWifi(device, kind);
  else await renumberWifiBack(device, kind);
  await pause(number, 53);
}

describe('flaps', () => {
  it(
    `flaps, ${FLAPS} of them, let nothing of a blocked application out by another way`,
    async () => {
      await using cellular = await Witness.start(device, { part: 'cell', hosts: [SERVER] });
      for (const program of programs)
        for (const socket of sockets('held'))
          expect(await program.openAndEcho(socket)).toEqual({ ok: true, echoed: true });
      for (const program of programs) await load(program);
      const kinds = [...LOSSES, ...RENUMBERINGS];
      for (let number = 0; number < FLAPS; number += 1)
        await flap(kinds[number % kinds.length] ?? 'carrier lost', number);

      expect(cellular.captured).toEqual([]);
      expect(await cellular.counted()).toBe(0);
      expect(await counted('elsewhere')).toBe(0);
      expect(await counted('by_wifi')).toBeGreaterThan(FLAPS);
      for (const program of programs) await unload(program);
      // It was no silence of those who had nothing to say, or of a daemon that had given up.
      expect(daemon.ending).toBeUndefined();
      for (const program of programs) {
        for (const socket of sockets('after')) {
          const from = device.seenEnd();
          await until(`an answer to ${socket.id}`, async () => {
            const answer = await program.openAndEcho({ ...socket, timeoutMs: ANSWER_MS });
            return answer.ok && answer.echoed === true;
          });
          const seen = device.seenSince(from).map(({ client }) => client);
          expect(seen.filter((client) => CELLULAR.includes(client))).toEqual([]);
        }
      }
    },
    TIMEOUT_MS,
  );

  it('flaps are watched by counters that count', async () => {
    await using cellular = await Witness.start(device, { part: 'cell', hosts: [SERVER] });
    const curl = ['curl', '-sS', '--max-time', '5', '--interface', 'cell0', `http://${SERVER.v4}/`];
    expect(await device.run(curl)).toMatchObject({ exitCode: 0 });
    expect(await counted('elsewhere')).toBeGreaterThan(0);
    expect(await cellular.counted()).toBeGreaterThan(0);
  });
});
