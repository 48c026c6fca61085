/** `on-link` is what is connected at the moment, whatever its addresses; the other end counts what arrives. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS, LAB_LAN, ROUTER_INSIDE } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
/** A network of global addresses at home, as a provider delegates them. */
const GLOBAL = { near: '2001:db8:77::2', far: '2001:db8:77::10' };
const NEIGHBOURS = [LAB_LAN.v4.far, LAB_LAN.v6.far, GLOBAL.far];
/** Private, and behind the router. */
const BEHIND = '192.168.99.9';
/** Somebody on the internet whose address the wireless network claims, as a lease may. */
const CLAIMED = { network: '8.0.0.0/8', host: '8.8.8.8' };
const PORT = 7;
const TIMES = 5;

let device: Device;
let program: Probe;
let python: string;
let lan: Arrivals;
let wifi: Arrivals;

async function send(host: string): Promise<{ readonly refused: number; readonly arrived: number }> {
  await Promise.all([lan.take(), wifi.take()]);
  let refused = 0;
  for (let i = 0; i < TIMES; i += 1) {
    const answer = await program.openAndEcho({ id: `${i}`, kind: 'udp-connected', host, port: PORT, timeoutMs: 100 });
    if (!answer.ok && answer.error !== 'timeout') refused += 1;
    await program.close(`${i}`);
  }
  return { refused, arrived: (await lan.take()) + (await wifi.take()) };
}

const NOT_AT_ALL = { refused: TIMES, arrived: 0 };
const arrivals = async (host: string): Promise<number> => (await send(host)).arrived;

async function policy(body: string): Promise<void> {
  device.writePolicy('player', `exec: ${python}`, body);
  expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
}

const explained = async (host: string): Promise<string> =>
  (await device.pointsman('explain', python, host.includes(':') ? `[${host}]:${PORT}` : `${host}:${PORT}`)).stdout;

const notBelieved = async (): Promise<readonly string[]> => {
  const { stdout } = await device.pointsman('uplinks', '--json');
  return (JSON.parse(stdout) as UplinksReport).uplinks.flatMap((uplink) => uplink.notBelieved ?? []);
};

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('onlink');
  python = device.copyOfPython('probe');
  await device.must('device', ['ip', 'addr', 'add', `${GLOBAL.near}/64`, 'dev', LAB_LAN.device, 'nodad']);
  await device.must('lan', ['ip', 'addr', 'add', `${GLOBAL.far}/64`, 'dev', 'eth0', 'nodad']);
  await device.startDaemon();
  program = Probe.start(device, [python]);
  lan = await Arrivals.start(device, { part: 'lan', device: 'eth0', to: NEIGHBOURS });
  const far = [SERVER.v4, SERVER.v6, BEHIND, CLAIMED.host];
  wifi = await Arrivals.start(device, { part: 'wifi', device: ROUTER_INSIDE, to: far });
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await lan?.[Symbol.asyncDispose]();
  await wifi?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('on-link as a destination', () => {
  it('on-link that is denied keeps a program from every neighbour, by global addresses, too, and from nobody else', async () => {
    await policy('rules: [{ to: on-link, do: deny }]\notherwise: allow');
    for (const host of NEIGHBOURS) expect(await send(host), host).toEqual(NOT_AT_ALL);
    for (const host of [SERVER.v4, SERVER.v6, BEHIND]) expect(await arrivals(host), host).toBeGreaterThanOrEqual(TIMES);
    expect(await explained(GLOBAL.far)).toContain('on-link');
  });

  it('on-link that alone is allowed lets a program to every neighbour and nowhere else', async () => {
    await policy('rules: [{ to: on-link, do: allow }]\notherwise: deny');
    for (const host of NEIGHBOURS) expect(await arrivals(host), host).toBeGreaterThanOrEqual(TIMES);
    for (const host of [SERVER.v4, SERVER.v6, BEHIND]) expect(await send(host), host).toEqual(NOT_AT_ALL);
  });

  it('on-link opens nothing that a network only claims by being too wide, and refuses what it claims', async () => {
    await device.must('device', ['ip', 'route', 'add', CLAIMED.network, 'dev', 'wifi0']);
    // So that the claim would get it there.
    await device.must('wifi', ['ip', 'addr', 'add', `${CLAIMED.host}/8`, 'dev', ROUTER_INSIDE]);
    await until('the claim is seen', async () => (await notBelieved()).includes(CLAIMED.network));
    expect(await send(CLAIMED.host)).toEqual(NOT_AT_ALL);
    await policy('rules: [{ to: on-link, do: deny }]\notherwise: allow');
    expect(await send(CLAIMED.host)).toEqual(NOT_AT_ALL);
    await policy('otherwise: allow');
    expect(await arrivals(CLAIMED.host)).toBeGreaterThanOrEqual(TIMES);
  });

  it('on-link follows the networks', async () => {
    await policy('rules: [{ to: on-link, do: deny }]\notherwise: allow');
    const network = ['192.168.99.2/24', 'dev', 'wifi0'];
    await device.must('device', ['ip', 'addr', 'add', ...network]);
    await device.must('wifi', ['ip', 'addr', 'add', `${BEHIND}/24`, 'dev', ROUTER_INSIDE]);
    await until('what is connected now is refused', async () => (await arrivals(BEHIND)) === 0);
    await device.must('device', ['ip', 'addr', 'del', ...network]);
    await until('what is behind a router again is let out', async () => (await arrivals(BEHIND)) >= TIMES);
  });
});
