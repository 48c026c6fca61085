/**
 * Programs that choose the device, the source or the mark themselves, against their policy: refused at once, told, and nothing of it
 * arrives. The other end counts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecisionEvent, WatchEvent } from '../../src/api/event.ts';
import type { Explanation } from '../../src/api/explanation.ts';
import { openClient } from '../../src/cli/client.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, eventually, FIRST, NET, SECOND, SERVER4, SERVER6 } from './daemon/world.ts';

const CLIENT = join(import.meta.dirname, 'daemon/choosing_client.py');
const GROUP4 = '239.1.2.3';
const GROUP6 = 'ff0e::123';
/** Of the uplinks' own networks. */
const PEER1 = '10.9.1.1';
const PEER2 = '10.9.2.1';
/** `one` has one way for everything, so that its sockets are marked with it; `mixed` has another one for the rest. */
const APPS = ['one', 'mixed'] as const;
const ENDED = 'ECONNABORTED';
const REFUSED = 'EPERM';

let machine: Machine;
let daemon: DaemonProcess;
const shown: WatchEvent[] = [];
const watching = new AbortController();
let watch: Promise<void> | undefined;

const nft = (...args: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', ...args], { encoding: 'utf8' });

beforeAll(async () => {
  machine = await Machine.build();
  const { root } = machine;
  const wifi = 'via: { require: { name: wifi }, else: block }';
  const all = [SERVER4, SERVER6, GROUP4, GROUP6, PEER1, PEER2].map((address) => `"${address}"`);
  root.policy('one', `otherwise: allow\n${wifi}\n`);
  root.policy('mixed', `rules: [{ to: [${all.join()}], do: allow, ${wifi} }]\notherwise: allow\n`);
  nft('add table inet counts');
  nft('add chain inet counts arrived { type filter hook prerouting priority -400; }');
  for (const device of ['n1', 'n2'])
    for (const address of [SERVER4, SERVER6, GROUP4, GROUP6, PEER1, PEER2])
      nft(
        `add rule inet counts arrived iifname ${device} ${address.includes(':') ? 'ip6' : 'ip'} daddr ${address} counter`,
      );
  daemon = await machine.startDaemon();
  await eventually(
    () => daemon.status(),
    ({ uplinks }) => uplinks.length === 2 && uplinks.every(({ up }) => up),
  );
  const socket = join(root.dir, 'run/pointsman/pointsman.sock');
  watch = openClient(socket).lines('/v1/watch', (line) => shown.push(JSON.parse(line) as WatchEvent), watching.signal);
  // What comes before anybody hears of it is not shown.
  await eventually(
    () => {
      send('one', 'udp', SERVER4);
      return shown.length;
    },
    (count) => count > 0,
  );
});

afterAll(async () => {
  watching.abort();
  await watch?.catch(() => undefined);
  await machine?.[Symbol.asyncDispose]();
});

function send(app: string, kind: string, host: string, ...choices: readonly string[]): string {
  const command = [machine.root.program(app), CLIENT, kind, host, '80', ...choices];
  return spawnSync('nsenter', [`--net=/run/netns/${DEVICE}`, ...command], { encoding: 'utf8' }).stdout.trim();
}

/** Packets to an address, by the link that they came in by. */
function arrived(device: 'n1' | 'n2', address: string): number {
  const lines = nft('list', 'table', 'inet', 'counts').split('\n');
  const line = lines.find((each) => each.includes(`iifname "${device}"`) && each.includes(`daddr ${address} `));
  return Number(/packets (\d+)/.exec(line ?? '')?.[1] ?? Number.NaN);
}

const isTold =
  (app: string, protocol: string, host: string) =>
  (event: WatchEvent): event is DecisionEvent =>
    event.kind === 'decision' &&
    event.app === app &&
    event.protocol === protocol &&
    event.destination.includes(host) &&
    event.cause === 'other-device';

describe('a program that chooses its device against its policy', () => {
  it.each(APPS.flatMap((app) => [SERVER4, SERVER6].map((host) => [app, host] as const)))(
    '%s: a connection to %s by the device of another uplink is refused at once, and told',
    async (app, host) => {
      expect(send(app, 'tcp', host, 'device=u2')).toBe(ENDED);
      const event = await eventually(
        () => shown.find(isTold(app, 'tcp', host)),
        (found) => found !== undefined,
      );
      expect(event).toMatchObject({
        verdict: 'reject',
        reason: expect.stringContaining('not by the device u2, but by u1'),
      });
      expect(arrived('n2', host)).toBe(0);
    },
  );

  const datagrams = [
    ['udp', SERVER4, 'device=u2'],
    ['udp', SERVER6, 'device=u2'],
    ['udp-unconnected', SERVER4, 'device=u2'],
    ['udp-unconnected', SERVER6, 'device=u2'],
    ['udp-unconnected', GROUP4, 'multicast=u2'],
    ['udp-unconnected', GROUP6, 'multicast=u2'],
    ['udp-unconnected', GROUP4, 'pktinfo=u2'],
    ['udp-unconnected', GROUP6, 'pktinfo=u2'],
    ['udp-unconnected', GROUP4, `source=${SECOND.v4}`],
  ] as const;
  it.each(APPS.flatMap((app) => datagrams.map((datagram) => [app, ...datagram] as const)))(
    '%s: %s to %s with %s is refused at once, and told',
    async (app, kind, host, choice) => {
      const before = shown.length;
      expect(send(app, kind, host, choice)).toBe(REFUSED);
      await eventually(
        () => shown.slice(before).find(isTold(app, 'udp', host)),
        (found) => found !== undefined,
      );
      expect(arrived('n2', host)).toBe(0);
    },
  );

  it.each(
    APPS.flatMap((app) =>
      (['tcp', 'udp', 'udp-unconnected'] as const).flatMap(
        (kind) =>
          [
            [app, kind, SERVER4, `source=${SECOND.v4}`],
            [app, kind, SERVER6, `source=${SECOND.v6}`],
            [app, kind, SERVER4, 'mark=0x82000000'],
            [app, kind, SERVER6, 'mark=0x82000000'],
            [app, kind, SERVER4, 'unicast=u2'],
            [app, kind, SERVER6, 'unicast=u2'],
            [app, kind, SERVER4, 'pktinfo=u2'],
            [app, kind, SERVER6, 'pktinfo=u2'],
          ] as const,
      ),
    ),
  )('%s: %s to %s with %s goes its way, or is refused at once', (app, kind, host, choice) => {
    const seen = host === SERVER4 ? FIRST.v4 : FIRST.v6;
    expect([seen, REFUSED, 'ECONNREFUSED']).toContain(send(app, kind, host, choice));
    expect(arrived('n2', host)).toBe(0);
  });

  it('is not refused to choose the device of its uplink, nor the network of any', () => {
    for (const app of APPS)
      for (const kind of ['tcp', 'udp', 'udp-unconnected']) {
        expect([app, kind, send(app, kind, SERVER4, 'device=u1')]).toEqual([app, kind, FIRST.v4]);
        expect([app, kind, send(app, kind, SERVER6, 'device=u1')]).toEqual([app, kind, FIRST.v6]);
      }
    expect(APPS.map((app) => send(app, 'tcp', PEER2, 'device=u2'))).toEqual([SECOND.v4, SECOND.v4]);
    expect(arrived('n1', SERVER4)).toBeGreaterThan(0);
    expect(arrived('n2', PEER2)).toBeGreaterThan(0);
  });

  it('is refused at once the network of one uplink by the device of another', async () => {
    expect(send('one', 'tcp', PEER1, 'device=u2')).toBe(ENDED);
    const event = await eventually(
      () => shown.find(isTold('one', 'tcp', PEER1)),
      (found) => found !== undefined,
    );
    expect(event).toMatchObject({ reason: expect.stringContaining('u2, which is not connected to it') });
    expect(arrived('n2', PEER1)).toBe(0);
  });

  it('of no policy leaves by the device that it chose', () => {
    const free = (host: string): string =>
      spawnSync('nsenter', [`--net=/run/netns/${DEVICE}`, '/usr/bin/python3', CLIENT, 'tcp', host, '80', 'device=u2'], {
        encoding: 'utf8',
      }).stdout.trim();
    expect([free(SERVER4), free(SERVER6)]).toEqual([SECOND.v4, SECOND.v6]);
  });

  it('explain says so', async () => {
    const ask = async (device?: string): Promise<Explanation> =>
      await daemon.ask<Explanation>('POST', '/v1/explain', {
        exe: machine.root.program('one'),
        host: SERVER4,
        port: 80,
        protocol: 'tcp',
        ...(device !== undefined && { device }),
      });
    expect(await ask()).toMatchObject({ flows: [{ verdict: 'accept', way: 'uplink wifi' }] });
    expect(await ask('u1')).toMatchObject({ flows: [{ verdict: 'accept', way: 'uplink wifi' }] });
    expect(await ask('u2')).toMatchObject({
      destination: `${SERVER4}:80/tcp by device u2`,
      flows: [{ verdict: 'reject', cause: 'other-device', reason: expect.stringContaining('u2, but by u1') }],
    });
  });
});
