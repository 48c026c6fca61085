/**
 * What is translated after a policy has decided (service addresses, published ports of one's own host) goes where its new destination leads: to
 * what is connected directly, to this machine by loopback, else by the uplink of its program. The other end counts.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { arrivedBy, countArrivals } from './daemon/port-arrivals.ts';
import { DEVICE, eventually, heldPackets, SERVER4, SERVER6 } from './daemon/world.ts';

const SENDER = join(import.meta.dirname, 'support/odd-sender.py');
const ECHO = join(import.meta.dirname, 'daemon/echo_server.py');
const run = promisify(execFile);

/** Service addresses, and what becomes of them. */
const FAMILIES = [
  {
    family: 'ip',
    away: '198.51.100.1',
    near: '198.51.100.2',
    other: '198.51.100.3',
    own: '198.51.100.4',
    server: SERVER4,
    byWifi: '10.9.1.1',
    byCellular: '10.9.2.1',
    loopback: '127.0.0.1',
  },
  {
    family: 'ip6',
    away: '2001:db8:5::1',
    near: '2001:db8:5::2',
    other: '2001:db8:5::3',
    own: '2001:db8:5::4',
    server: SERVER6,
    byWifi: 'fd09:1::1',
    byCellular: 'fd09:2::1',
    loopback: '::1',
  },
] as const;
const PORTS = { free: 80, denied: 81, routed: 82, wired: 83, deniedThere: 84 } as const;
type Who = keyof typeof PORTS;
const WAYS = ['tcp', 'datagram'] as const;

let machine: Machine;
let local: ChildProcess;

const nft = (namespace: string, input: string): string =>
  execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'nft', '-f', '-'], { encoding: 'utf8', input });

beforeAll(async () => {
  machine = await Machine.build();
  const { root } = machine;
  root.program('free');
  root.policy('denied', 'otherwise: deny\n');
  root.policy('routed', 'via: { require: { name: cellular }, else: block }\notherwise: allow\n');
  root.policy('wired', 'via: { require: { name: wifi }, else: block }\notherwise: allow\n');
  // Of where it is translated to nobody speaks: that is not known when it is decided.
  root.policy('deniedThere', `rules: [{ to: ["${SERVER4}", "${SERVER6}"], do: deny }]\notherwise: allow\n`);
  const rules = FAMILIES.flatMap(({ family, away, near, other, own, server, byWifi, byCellular, loopback }) => [
    `${family} daddr ${away} dnat ${family} to ${server}`,
    `${family} daddr ${near} dnat ${family} to ${byWifi}`,
    `${family} daddr ${other} dnat ${family} to ${byCellular}`,
    `${family} daddr ${own} dnat ${family} to ${loopback}`,
  ]);
  nft(DEVICE, `table inet service {\nchain c {\ntype nat hook output priority -100;\n${rules.join('\n')}\n}\n}\n`);
  countArrivals(Object.values(PORTS), ['tcp', 'udp']);
  const ports = Object.values(PORTS).map(String);
  local = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, 'python3', ECHO, '127.0.0.1', '::1', ...ports]);
  if (local.stdout === null) throw new Error('no output');
  const lines = createInterface({ input: local.stdout });
  await new Promise((resolve) => lines.once('line', resolve));
  const daemon = await machine.startDaemon();
  await eventually(
    () => daemon.status(),
    ({ uplinks }) => uplinks.length === 2 && uplinks.every(({ up }) => up),
  );
});

afterAll(async () => {
  local?.kill('SIGKILL');
  await machine?.[Symbol.asyncDispose]();
});

/** By which uplinks it came to the other end; else what the program was told. */
async function outcome(who: Who, way: string, host: string): Promise<string> {
  const args = [machine.root.program(who), SENDER, way, host, `${PORTS[who]}`];
  const { stdout } = await run('nsenter', [`--net=/run/netns/${DEVICE}`, ...args], { encoding: 'utf8' });
  await eventually(heldPackets, (count) => count === 0);
  const uplinks = arrivedBy(PORTS[who]);
  return uplinks.length > 0 ? uplinks.join(' and ') : stdout.trim();
}

async function outcomes(who: readonly Who[], way: string, host: string): Promise<Partial<Record<Who, string>>> {
  const all = await Promise.all(who.map(async (one) => [one, await outcome(one, way, host)] as const));
  return Object.fromEntries(all);
}

describe.each(FAMILIES)('what others translate ($family)', ({ away, near, other, own }) => {
  it.each(WAYS)('goes by the uplink of its program to where that one leads: %s', async (way) => {
    const said = await outcomes(['free', 'routed', 'wired', 'deniedThere'], way, away);
    expect(said).toEqual({ free: 'wifi', routed: 'cellular', wired: 'wifi', deniedThere: 'wifi' });
  });

  it.each(WAYS)('goes to what is connected directly, whatever its uplink is: %s', async (way) => {
    expect(await outcomes(['free', 'routed', 'wired'], way, near)).toEqual({
      free: 'wifi',
      routed: 'wifi',
      wired: 'wifi',
    });
    const all = { free: 'cellular', routed: 'cellular', wired: 'cellular' };
    expect(await outcomes(['free', 'routed', 'wired'], way, other)).toEqual(all);
  });

  it.each(WAYS)('goes to this machine by loopback: %s', async (way) => {
    const said = await outcomes(['free', 'routed', 'wired'], way, own);
    expect(said).toEqual({ free: 'sent', routed: 'sent', wired: 'sent' });
  });

  it.each(WAYS)('is refused where its program may not: %s', async (way) => {
    const refusal = way === 'tcp' ? 'ECONNREFUSED' : 'EPERM';
    for (const host of [away, near, other, own]) {
      expect(await outcome('denied', way, host), host).toBe(refusal);
    }
  });
});
