/**
 * Load sharing: what the kernel's hash makes of real packets is what `shareSlot` says, connection by connection. The other end
 * tells which uplink it was.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS, type LabHost } from '../../src/lab/world.ts';
import { parseAddress } from '../../src/net/address.ts';
import type { Flow } from '../../src/net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../../src/net/protocol.ts';
import type { Share } from '../../src/policy/model.ts';
import { shareRanges, sharerOf } from '../../src/policy/share-ranges.ts';
import { shareSlot } from '../../src/policy/share-slot.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe, type SocketKind } from './support/probe.ts';

const ECHO_PORT = 7;
const APP = 'org.example.Shared';
const SHARERS = [
  { name: 'cellular', weight: 1 },
  { name: 'wifi', weight: 2 },
];
/** Each as often, so that both uplinks are met. */
const CONNECTIONS_EACH = 8;
const KINDS = ['tcp', 'udp-connected'] as const satisfies readonly SocketKind[];

let device: Device;
let python: string;
let daemon: Daemon | undefined;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('share');
  python = device.copyOfPython('probe');
  for (const { name, weight } of SHARERS) {
    const uplink = LAB_UPLINKS.find((one) => one.name === name);
    if (uplink === undefined) throw new Error(`the lab has no ${name}`);
    const text = `pointsman: 1\nuplink: ${name}\ndevice: ${uplink.device}\nweight: ${weight}\n`;
    device.write(`${UPLINKS}/${name}.yaml`, text);
  }
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new RangeError(text);
  return parsed;
}

/** The lab's uplink that has this address. */
const uplinkOf = (client: string): string | undefined =>
  LAB_UPLINKS.find(({ access }) => [access.v4.near, access.v6.near].includes(client))?.name;

function expectedUplink(share: Share, flow: Flow): string | undefined {
  const slot = shareSlot(share, flow, APP);
  return slot === undefined ? undefined : sharerOf(shareRanges(SHARERS, SHARERS), slot);
}

/** The source that a socket had when its first packet was hashed. */
async function sourceOf(port: number): Promise<string> {
  const { stdout } = await device.run(['ss', '-Htun', 'sport', '=', `:${port}`]);
  const [, source] = /\s\[?([0-9a-f.:]+?)\]?(?:%\w+)?:\d+\s+\S+\s*$/m.exec(stdout) ?? [];
  if (source === undefined) throw new Error(`no socket with port ${port}: ${stdout}`);
  return source;
}

/** Opens a connection: by which uplink it went, and by which it should. */
async function connect(program: Probe, share: Share, id: string, kind: (typeof KINDS)[number], host: string) {
  const from = device.seenEnd();
  expect(await program.openAndEcho({ id, kind, host, port: ECHO_PORT })).toEqual({ ok: true, echoed: true });
  const [seen] = device.seenSince(from);
  const answer = await program.localPort(id);
  if (!answer.ok || answer.port === undefined) throw new Error('the probe does not know its port');
  const flow: Flow = {
    protocol: kind === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    source: address(await sourceOf(answer.port)),
    destination: address(host),
    sourcePort: answer.port,
    destinationPort: ECHO_PORT,
    loopback: false,
  };
  return { went: uplinkOf(seen?.client ?? ''), should: expectedUplink(share, flow) };
}

const addressesOf = ({ v4, v6 }: LabHost): string[] => [v4, v6];

describe.each(['connection', 'destination', 'app'] as const)('share: %s', (share) => {
  beforeAll(async () => {
    device.writePolicy(APP, `exec: ${python}`, `otherwise: allow\nvia: { share: ${share} }`);
    daemon = await device.startDaemon();
    for (const { name } of SHARERS) await device.untilUplink(name, true);
  });

  afterAll(async () => {
    await daemon?.stop();
  });

  it('takes the uplink that its hash says', async () => {
    await using program = Probe.start(device, [python]);
    const hosts = share === 'connection' ? INTERNET_HOSTS.slice(0, 1) : INTERNET_HOSTS;
    const repeats = share === 'connection' ? CONNECTIONS_EACH : 2;
    const met = new Map<string, Set<string | undefined>>();
    for (const host of hosts.flatMap(addressesOf)) {
      for (const kind of KINDS) {
        for (let i = 0; i < repeats; i++) {
          const { went, should } = await connect(program, share, `${host} ${kind} ${i}`, kind, host);
          expect(went, `${kind} to ${host}`).toBe(should);
          met.set(host, (met.get(host) ?? new Set()).add(went));
        }
      }
    }
    const { queued } = (await device.status()).verdicts;
    expect(queued, 'the daemon was asked each time').toBeLessThan(hosts.length * repeats);
    const everywhere = new Set([...met.values()].flatMap((uplinks) => [...uplinks]));
    expect(everywhere.size).toBe(share === 'app' ? 1 : 2);
    if (share !== 'connection') for (const uplinks of met.values()) expect(uplinks.size).toBe(1);
  });
});
