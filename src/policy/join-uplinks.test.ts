import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Carrier,
  describeSource,
  joinUplinks,
  propertiesOf,
  type Telling,
  takenNames,
  type UplinkEvidence,
  uplinkNameOf,
} from './join-uplinks.ts';
import type { Uplink } from './model.ts';

const at = { file: '/u/home.yaml', line: 2, column: 9 };
const file = (name: string, device: string, told: Telling['told'] = {}): Uplink => ({
  name,
  device,
  priority: 100,
  ...propertiesOf([{ by: 'file', told }]),
  gateways: {},
  at,
});
const NOTHING: UplinkEvidence = { found: [], tellings: new Map() };
const found = (...devices: readonly string[]): UplinkEvidence => ({
  found: devices.map((device) => ({ device, priority: 600 })),
  tellings: new Map(),
});
const withResolver = (uplink: Uplink): Uplink => ({ ...uplink, resolvers: [{ family: 6, value: 1n << 100n }] });
const names = (uplinks: readonly Uplink[]): string[] => uplinks.map(({ name, device }) => `${name} ${device}`);

describe('joinUplinks', () => {
  it('joinUplinks keeps an uplink whose file names addresses, as long as they are the same', () => {
    const before = joinUplinks([withResolver(file('home', 'wlan0'))], NOTHING);
    expect(joinUplinks([withResolver(file('home', 'wlan0'))], NOTHING, before)).toBe(before);
    const others = { ...withResolver(file('home', 'wlan0')), resolvers: [{ family: 6, value: 1n } as const] };
    expect(joinUplinks([others], NOTHING, before)).not.toBe(before);
  });

  it('joinUplinks believes the file, then the others in their order, property by property', () => {
    const tellings = new Map<string, readonly Telling[]>([
      [
        'wlan0',
        [
          { by: 'NetworkManager', told: { metered: true, type: 'wifi' }, guesses: ['metered'] },
          { by: 'kernel', told: { type: 'ethernet', encrypted: true } },
        ],
      ],
    ]);
    const [joined] = joinUplinks([file('home', 'wlan0', { trusted: true })], { found: [], tellings });
    expect(joined).toMatchObject({
      properties: { type: 'wifi', metered: true, roaming: false, trusted: true, encrypted: true },
      sources: {
        type: { by: 'NetworkManager' },
        metered: { by: 'NetworkManager', guess: true },
        roaming: { by: 'default' },
        trusted: { by: 'file' },
        encrypted: { by: 'kernel' },
      },
    });
    const [stated] = joinUplinks([file('home', 'wlan0', { metered: false })], { found: [], tellings });
    expect(stated).toMatchObject({ properties: { metered: false }, sources: { metered: { by: 'file' } } });
  });

  it('joinUplinks takes a file without sources at its word', () => {
    const { sources: _, ...uplink } = file('home', 'wlan0');
    const tellings = new Map([['wlan0', [{ by: 'kernel', told: { type: 'wifi' } } as const]]]);
    expect(joinUplinks([uplink], { found: [], tellings })).toMatchObject([{ properties: { type: 'other' } }]);
  });

  it('joinUplinks adds devices that no file names, with what is told of them', () => {
    const evidence = {
      ...found('wg0'),
      tellings: new Map([['wg0', [{ by: 'kernel', told: { type: 'vpn' } } as const]]]),
    };
    expect(joinUplinks([file('home', 'wlan0')], evidence)).toMatchObject([
      { name: 'home' },
      { name: 'wg0', device: 'wg0', priority: 600, discovered: true, properties: { type: 'vpn' }, gateways: {} },
    ]);
    expect(names(joinUplinks([file('home', 'wlan0')], found('wlan0')))).toEqual(['home wlan0']);
  });

  it('joinUplinks passes on what is found and not taken, and takes it where a file names its device', () => {
    const evidence = { found: [{ device: 'eth1', priority: 600, untaken: true as const }], tellings: new Map() };
    const joined = joinUplinks([file('home', 'wlan0')], evidence);
    expect(joined).toMatchObject([{ name: 'home' }, { name: 'eth1', untaken: true }]);
    expect(takenNames(joined)).toEqual(['home']);
    expect(takenNames(joinUplinks([file('lan', 'eth1')], evidence))).toEqual(['lan']);
  });

  describe('of what carries others', () => {
    const told = (entries: Readonly<Record<string, readonly Telling[]>>) => new Map(Object.entries(entries));
    const carried = (entries: Readonly<Record<string, Carrier>>) => new Map(Object.entries(entries));
    const over = (...devices: string[]): Carrier => ({ kind: 'devices', devices });
    const shown = (uplinks: readonly Uplink[], name: string) => {
      const { properties, sources } = uplinks.find((uplink) => uplink.name === name) ?? expect.fail(name);
      const of = sources?.metered ?? expect.fail('sources');
      return [properties.type, properties.metered, properties.roaming, describeSource(of)];
    };
    const phone = file('phone', 'wwan0', { type: 'cellular', metered: true, roaming: true });

    it.each([
      ['free', over('eth0'), ['other', false, false, 'carrier']],
      ['what a file says to cost', over('wwan0'), ['other', true, true, 'carrier']],
      ['one that costs and one that is free', over('eth0', 'wwan0'), ['other', true, true, 'carrier']],
      ['another one that costs', over('tun1'), ['other', true, true, 'carrier']],
      ['nobody knows what', { kind: 'unknown' }, ['other', true, true, 'unknown carrier']],
      ['itself', over('tun0'), ['other', true, true, 'unknown carrier']],
      ['what it carries', over('tun2'), ['other', true, true, 'carrier, guess']],
    ] satisfies [string, Carrier, unknown[]][])('joinUplinks has it from its carrier: %s', (_, carrier, expected) => {
      const carriers = carried({ tun0: carrier, tun1: over('wwan0'), tun2: over('tun0') });
      const joined = joinUplinks([phone], { ...found('tun0', 'eth0'), carriers });
      expect(shown(joined, 'tun0')).toEqual(expected);
    });

    it('joinUplinks believes a file, and what somebody set for the device itself, before its carrier', () => {
      const carriers = carried({ tun0: over('wwan0') });
      const stated = joinUplinks([phone, file('vpn', 'tun0', { metered: false })], { ...found(), carriers });
      expect(shown(stated, 'vpn')).toEqual(['other', false, true, 'file']);
      const byManager = (guesses: readonly 'metered'[]) =>
        joinUplinks([phone], {
          ...found('tun0'),
          carriers,
          tellings: told({ tun0: [{ by: 'NetworkManager', told: { metered: false }, guesses }] }),
        });
      expect(shown(byManager([]), 'tun0')).toEqual(['other', false, true, 'NetworkManager']);
      expect(shown(byManager(['metered']), 'tun0')).toEqual(['other', true, true, 'carrier']);
    });

    it('joinUplinks lets a guess that a device costs stand, although its carrier is free', () => {
      const tellings = told({ vlan0: [{ by: 'NetworkManager', told: { metered: true }, guesses: ['metered'] }] });
      const joined = joinUplinks([], { ...found('vlan0'), carriers: carried({ vlan0: over('eth0') }), tellings });
      expect(shown(joined, 'vlan0')).toEqual(['other', true, false, 'NetworkManager, guess']);
    });

    it('joinUplinks takes another name of a link, or its IPv4, for the same kind of network', () => {
      const carriers = carried({ clat: { kind: 'devices', devices: ['wwan0'], sameNetwork: true } });
      const tellings = told({ clat: [{ by: 'kernel', told: { type: 'vpn' }, guesses: ['type'] }] });
      expect(shown(joinUplinks([phone], { ...found('clat'), carriers, tellings }), 'clat')).toEqual([
        ...['cellular', true, true, 'carrier'],
      ]);
    });
  });

  it('takenNames() has those of files first, then the best: the worst go without a number where there are too many', () => {
    const evidence = {
      found: ['eth9', 'eth1', 'eth5'].map((device, i) => ({ device, priority: [10, 900, 500][i] ?? 0 })),
      tellings: new Map(),
    };
    const slow = { ...file('slow', 'ppp0'), priority: 1000 };
    expect(takenNames(joinUplinks([slow, file('home', 'wlan0')], evidence))).toEqual([
      ...['home', 'slow', 'eth9', 'eth5', 'eth1'],
    ]);
  });

  it('joinUplinks gives a name that a file or another device has a number', () => {
    expect(names(joinUplinks([file('eth1', 'eth0')], found('eth1', 'Eth1', 'wg_a', 'wg-a', 'wg.a')))).toEqual([
      'eth1 eth0',
      'eth1-3 Eth1',
      'eth1-2 eth1',
      'wg-a wg-a',
      'wg-a-2 wg.a',
      'wg-a-3 wg_a',
    ]);
    const long = 'a'.repeat(15);
    expect(names(joinUplinks([file(long, 'x')], found(long)))).toEqual([`${long} x`, `${'a'.repeat(13)}-2 ${long}`]);
  });

  it('joinUplinks gives back what it gave before where nothing is otherwise', () => {
    const stated = [file('home', 'wlan0'), file('work', 'eth0')];
    expect(joinUplinks(stated, NOTHING)).toBe(stated);
    const first = joinUplinks(stated, found('wg0', 'eth0'));
    expect(joinUplinks(stated, found('wg0', 'eth0'), first)).toBe(first);
    const metered = new Map([['eth0', [{ by: 'NetworkManager', told: { metered: true } } as const]]]);
    const second = joinUplinks(stated, { ...found('wg0', 'eth0'), tellings: metered }, first);
    expect(second.map((uplink, i) => uplink === first[i])).toEqual([true, false, true]);
  });

  it('joinUplinks makes the same of its own result, and forgets in it what is no longer told', () => {
    const stated = [file('home', 'wlan0', { metered: true })];
    const tellings = new Map([['wlan0', [{ by: 'kernel', told: { type: 'wifi' } } as const]]]);
    const joined = joinUplinks(stated, { ...found('wg0'), tellings });
    expect(joinUplinks(joined, { ...found('wg0'), tellings })).toBe(joined);
    expect(joinUplinks(joined, NOTHING)).toEqual(stated);
  });

  it('joinUplinks gives each device one name of the right form, and no name twice', () => {
    const device = fc.string({ minLength: 1, maxLength: 15, unit: fc.constantFrom(...'aA0_-.') });
    fc.assert(
      fc.property(
        fc.uniqueArray(device, { maxLength: 20 }),
        fc.uniqueArray(device, { maxLength: 4 }),
        (devices, others) => {
          const stated = [...new Set(others.map(uplinkNameOf))].map((name) => file(name, `${name}+`));
          const joined = joinUplinks(stated, found(...devices));
          expect(joined).toHaveLength(stated.length + devices.length);
          expect(new Set(joined.map(({ name }) => name)).size).toBe(joined.length);
          for (const { name } of joined) expect(name).toMatch(/^[a-z][a-z0-9-]{0,14}$/);
        },
      ),
    );
  });
});

describe('describeSource', () => {
  it('describeSource says who, and whether it is a guess', () => {
    expect(describeSource({ by: 'NetworkManager', guess: true })).toBe('NetworkManager, guess');
    expect(describeSource({ by: 'file' })).toBe('file');
  });
});
