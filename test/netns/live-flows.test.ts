/** What becomes of flows that have begun when the files, or what is known of them, change: with real packets. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  eventually,
  FIRST,
  HeldSocket,
  inDevice,
  once,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

const TRANSPORTS = [
  ['tcp', SERVER4, FIRST.v4],
  ['udp', SERVER4, FIRST.v4],
  ['udp-unconnected', SERVER4, FIRST.v4],
  ['tcp', SERVER6, FIRST.v6],
  ['udp', SERVER6, FIRST.v6],
] as const;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  root.policy('mail', 'otherwise: allow\nvia: { require: { type: cellular }, else: block }\n');
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

const open = (app: string): HeldSocket[] => TRANSPORTS.map(([kind, host]) => new HeldSocket(root, app, kind, host, 83));
const addresses = TRANSPORTS.map(([, , address]) => address);
const linesOf = (held: readonly HeldSocket[]): Promise<string[]> => Promise.all(held.map((one) => one.line()));
const exchangeAll = (held: readonly HeldSocket[]): Promise<string[]> => Promise.all(held.map((one) => one.exchange()));
const isAddress = (line: string): boolean => /^(10\.|fd09)/.test(line);

describe('flows of a program that had no policy when they began', () => {
  it('flows of a program without a policy end when a policy comes that denies them', async () => {
    const [held, other] = [open('late'), open('other')];
    expect(await linesOf(held)).toEqual(addresses);
    expect(await linesOf(other)).toEqual(addresses);
    root.policy('late', 'otherwise: deny\n');
    await daemon.reload();
    expect((await exchangeAll(held)).filter(isAddress)).toEqual([]);
    expect(await exchangeAll(other)).toEqual(addresses);
    for (const one of [...held, ...other]) one.close();
  });

  it('flows of a program without a policy go on when a policy comes that permits their way', async () => {
    const held = open('chat');
    expect(await linesOf(held)).toEqual(addresses);
    root.policy('chat', 'otherwise: allow\nvia: { prefer: { type: cellular } }\n');
    await daemon.reload();
    await eventually(
      () => exchangeAll(held),
      (lines) => lines.every((line, i) => line === addresses[i]),
    );
    expect(await once(root, 'chat', 'tcp', SERVER4, 83)).toBe(SECOND.v4);
    for (const one of held) one.close();
  });

  it('flows of a program without a policy end when a policy comes that wants them elsewhere', async () => {
    const held = open('voip');
    expect(await linesOf(held)).toEqual(addresses);
    root.policy('voip', 'otherwise: allow\nvia: { require: { type: cellular }, else: block }\n');
    await daemon.reload();
    // The first packets may still leave, by the uplink that the policy wants and with an address that has no way back there.
    await eventually(
      () => exchangeAll(held),
      (lines) => !lines.some(isAddress),
    );
    expect(await once(root, 'voip', 'udp', SERVER4, 83)).toBe(SECOND.v4);
    for (const one of held) one.close();
  });

  it('flows are judged by the policy of the program that sends them when programs move from one policy to another', async () => {
    const program = root.program('game');
    root.policy('game', 'otherwise: allow\n');
    await daemon.reload();
    const held = open('game');
    expect(await linesOf(held)).toEqual(addresses);
    root.policy('game', 'otherwise: allow\n', root.program('unused'));
    root.policy('play', 'otherwise: deny\n', program);
    await daemon.reload();
    expect((await exchangeAll(held)).filter(isAddress)).toEqual([]);
    for (const one of held) one.close();
  });
});

describe('what is left', () => {
  it('no bit of a mark is left when the daemon stops, also on flows that were asked about and sent nothing since', async () => {
    const held = open('silent');
    expect(await linesOf(held)).toEqual(addresses);
    root.policy('silent', 'otherwise: deny\n');
    await daemon.reload();
    await daemon.signal('SIGTERM');
    const marks = inDevice('cat', '/proc/net/nf_conntrack').match(/mark=\d+/g);
    expect(new Set(marks)).toEqual(new Set(['mark=0']));
    for (const one of held) one.close();
    daemon = await machine.startDaemon();
  });
});

describe('an uplink whose route the kernel refuses', () => {
  it('an uplink that the kernel refuses counts as down and is named, and all others are in force', async () => {
    inDevice('ip', 'link', 'add', 'odd0', 'type', 'veth', 'peer', 'name', 'odd1');
    inDevice('ip', 'addr', 'add', '10.9.3.2/24', 'dev', 'odd0');
    for (const end of ['odd0', 'odd1']) inDevice('ip', 'link', 'set', end, 'up');
    const file = 'etc/pointsman/uplinks/odd.yaml';
    const odd = (gateway: string): string =>
      `pointsman: 1\nuplink: odd\ndevice: odd0\ntype: satellite\ngateway: { v4: ${gateway} }\n`;
    root.write(file, odd('10.9.3.255'));
    await daemon.signal('SIGTERM');
    daemon = await machine.startDaemon();
    const { warnings, uplinks } = await daemon.status();
    const warning = warnings.find(({ code }) => code === 'uplink-refused')?.message;
    expect(warning).toContain('odd by gateway 10.9.3.255');
    expect(warning).toContain(join(root.dir, file));
    expect(uplinks.map(({ name, up }) => [name, up])).toContainEqual(['odd', false]);
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(SECOND.v4);

    root.write(file, odd('10.9.3.1'));
    await eventually(
      () => daemon.status(),
      (status) =>
        status.uplinks.some(({ name, up }) => name === 'odd' && up) &&
        !status.warnings.some(({ code }) => code === 'uplink-refused'),
    );
    rmSync(join(root.dir, file));
    inDevice('ip', 'link', 'del', 'odd0');
    await daemon.reload();
  });
});

describe('numbers that were lost', () => {
  it.each([
    ['missing', 'ant'],
    ['damaged', 'aardvark'],
  ])('flows are decided anew when the file of numbers is %s', async (state, first) => {
    root.policy('zebra', 'otherwise: allow\n');
    await daemon.reload();
    const [held, bound] = [open('zebra'), new HeldSocket(root, 'mail', 'tcp', SERVER4, 80)];
    expect(await linesOf(held)).toEqual(addresses);
    expect(await bound.line()).toBe(SECOND.v4);
    await daemon.signal('SIGKILL');
    if (state === 'missing') rmSync(join(root.dir, 'var/lib/pointsman/ids.json'));
    else root.write('var/lib/pointsman/ids.json', '{"format":1,');
    // It comes first now, so that the numbers of all others are others.
    root.policy(first, 'otherwise: deny\n');
    daemon = await machine.startDaemon();
    expect(await exchangeAll(held)).toEqual(addresses);
    expect(await bound.exchange()).toBe(SECOND.v4);
    root.policy('zebra', 'otherwise: deny\n');
    await daemon.reload();
    expect((await exchangeAll(held)).filter(isAddress)).toEqual([]);
    for (const one of [...held, bound]) one.close();
  });
});
