/** Devices with any name that the kernel allows: the table stays right, applies go on, and no name acts on a terminal or a journal. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isUsableDeviceName } from '../../src/net/device-name.ts';
import { renderRule } from '../../src/plan/nft/render.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, eventually, inDevice, once, type Root, SECOND, SERVER4 } from './daemon/world.ts';

const VIA_SECOND = 'via: { require: { type: cellular }, else: block }';
const APP = 'mail';

/** As printf(1) of sh spells them: what nft cannot quote, what it takes for a pattern, what is no UTF-8, what a terminal obeys. */
const UNUSABLE = ['w*"accept#', 'q"x', 'c\\302\\233K', 'w*', 'u*', 'w\\\\*', 'b\\377', 'b\\376', 'e\\033[2J'];
const USABLE = ['w#x', "q'x", '-dash', '{x;}', 'gr\\303\\274n'];

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
let next = 0;
const peers: string[] = [];

/** A way out called like this, worse than those of the world. */
function addDevice(name: string): void {
  next += 1;
  const script = [
    'name=$(printf -- "$0"); set -e',
    `ip link add name "$name" index ${1000 + next} type veth peer name peer${next}`,
    `ip link set dev "$name" up; ip link set dev peer${next} up`,
    `ip addr add 10.77.${next}.2/24 dev "$name"; ip route add default via 10.77.${next}.1 dev "$name" metric ${9000 + next}`,
  ].join('\n');
  inDevice('sh', '-c', script, name);
  peers.push(`peer${next}`);
}

function removeDevices(): void {
  for (const peer of peers.splice(0)) inDevice('ip', 'link', 'del', 'dev', peer);
}

/** In bytes. */
const table = (): string =>
  execFileSync('nsenter', [`--net=/run/netns/${DEVICE}`, 'nft', 'list', 'table', 'inet', 'pointsman']).toString(
    'latin1',
  );
const warnings = async (): Promise<string[]> => (await daemon.status()).warnings.map(({ code }) => code);

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  root.policy(APP, `rules:\n  - { to: ["*:80"], do: allow, ${VIA_SECOND} }\n  - { to: ["*:81"], do: deny }\n`);
  daemon = await machine.startDaemon();
});

afterEach(removeDevices);
afterAll(() => machine?.[Symbol.asyncDispose]());

describe('names from outside', () => {
  it('names from outside that cannot be written change nothing in the table, and are said', async () => {
    const before = table();
    for (const name of UNUSABLE) addDevice(name);
    await eventually(warnings, (codes) => codes.includes('name-not-usable'));
    const { warnings: said } = await daemon.status();
    const said1 = said.find(({ code }) => code === 'name-not-usable')?.message ?? '';
    expect(said1).toContain('"w*\\"accept#"');
    expect(said.map(({ code }) => code)).not.toContain('apply-failed');

    // Applies go on: what is denied now was permitted before, and the other way round.
    root.policy(APP, `rules:\n  - { to: ["*:81"], do: allow, ${VIA_SECOND} }\n  - { to: ["*:80"], do: deny }\n`);
    await daemon.reload();
    expect(await once(root, APP, 'tcp', SERVER4, 80)).toBe('ECONNREFUSED');
    expect(await once(root, APP, 'tcp', SERVER4, 81)).toBe(SECOND.v4);
    const after = table();
    expect([...after.matchAll(/[io]ifname "([^"]*)"/g)].map(([, name]) => name).sort()).toEqual(
      [...before.matchAll(/[io]ifname "([^"]*)"/g)].map(([, name]) => name).sort(),
    );
    const accepts = (text: string): number => text.split('\n').filter((line) => line.trim() === 'accept').length;
    expect(accepts(after)).toBe(accepts(before));
    expect((await daemon.status()).uplinks.map(({ name }) => name).sort()).toEqual(['cellular', 'wifi']);

    expect(daemon.log).not.toMatch(/[^\P{Cc}\n]/u);
    removeDevices();
    await eventually(warnings, (codes) => !codes.includes('name-not-usable'));
  });

  it('names from outside that look odd but can be written are uplinks as any other', async () => {
    for (const name of USABLE) addDevice(name);
    await eventually(
      async () => (await daemon.status()).uplinks.length,
      (count) => count === 2 + USABLE.length,
    );
    root.policy(APP, `rules:\n  - { to: ["*:80"], do: allow, ${VIA_SECOND} }\n`);
    await daemon.reload();
    expect(await once(root, APP, 'tcp', SERVER4, 80)).toBe(SECOND.v4);
    const names = [...table().matchAll(/oifname "([^"]*)"/g)].map(([, name = '']) => Buffer.from(name, 'latin1'));
    expect(names.map(String)).toEqual(expect.arrayContaining(['w#x', "q'x", '-dash', '{x;}', 'grün']));
    expect(await warnings()).not.toContain('name-not-usable');
  });

  it('names from outside are, where they can be written at all, in the kernel what they were', () => {
    const usable = fc.sample(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 15 }).filter(isUsableDeviceName),
      500,
    );
    const everyByte = Array.from({ length: 255 }, (_, i) => `x${String.fromCharCode(i + 1)}`).filter(
      isUsableDeviceName,
    );
    const names = [...new Set([...usable, ...everyByte])];
    const rules = names.map((name) => {
      const compare = { kind: 'compare', field: { kind: 'meta oifname' }, values: [name] } as const;
      return renderRule({ expressions: [compare, { kind: 'counter' }] });
    });
    const text = `table inet written {\n chain c {\n${rules.join('\n')}\n }\n}\n`;
    const inside = (...args: string[]): string =>
      execFileSync('nsenter', [`--net=/run/netns/${DEVICE}`, 'nft', ...args], { input: text, encoding: 'utf8' });
    inside('-f', '-');
    try {
      const listed = inside('list', 'table', 'inet', 'written').split('\n');
      expect(listed.filter((line) => line.includes('oifname')).map((line) => /"(.*)"/.exec(line)?.[1])).toEqual(names);
    } finally {
      inside('delete', 'table', 'inet', 'written');
    }
  });
});
