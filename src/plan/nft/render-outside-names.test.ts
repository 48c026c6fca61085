/** Names that others choose never become text of nft: whatever bytes the kernel allows in them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeLink } from '../../kernel/fake/fake-kernel.ts';
import { type Address, parseAddress, parsePrefix } from '../../net/address.ts';
import { decodeUtf8 } from '../../netlink/text.ts';
import type { Facts } from '../../policy/facts.ts';
import { joinUplinks } from '../../policy/join-uplinks.ts';
import { indexApps } from '../../policy/match-app.ts';
import type { Match, SourceLocation } from '../../policy/model.ts';
import { discoverUplinks } from '../../watch/discover-uplinks.ts';
import { observeHost } from '../../watch/host-facts.ts';
import type { Network } from '../../watch/network.ts';
import { compile } from '../compile.ts';
import { OVERLAY_KINDS } from '../compile-tunnels.ts';
import { namedPrograms, programName } from '../program.ts';
import { PROGRAM_NONE_FIRST } from '../reserved.ts';
import { renderRule, renderRuleset } from './render.ts';

const NOW = 1_800_000_000_000;
const at: SourceLocation = { file: 'generated.yaml', line: 1, column: 1 };
const CONTAINER = 'c'.repeat(64);
const CONTAINER_CGROUP = `/system.slice/docker-${CONTAINER}.scope`;

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not parsed');
  return value;
}
const address = (text: string): Address => required(parseAddress(text));
const prefix = (text: string) => required(parsePrefix(text));

/** What tends to end a quoted text, a line or a name early. */
const NASTY = [...'"*#\\{};$@\'`!&|()<>=,-\u001b\u007f'].map((character) => character.charCodeAt(0));
const byte = fc.oneof(fc.constantFrom(...NASTY), fc.integer({ min: 1, max: 255 }));
const bytes = (maxLength: number) => fc.array(byte, { minLength: 1, maxLength });
/** dev_valid_name of net/core/dev.c, with isspace of lib/ctype.c. */
const WHITE_SPACE = [9, 10, 11, 12, 13, 32, 0xa0];
const isDeviceName = (name: readonly number[]): boolean =>
  !name.some((one) => one === 0x2f || one === 0x3a || WHITE_SPACE.includes(one)) &&
  !['.', '..'].includes(String.fromCharCode(...name));
const deviceName = bytes(15).filter(isDeviceName);
const text = (name: readonly number[]): string => decodeUtf8(Uint8Array.from(name));
const anyName = bytes(32).map(text);

interface Names {
  readonly devices: readonly string[];
  readonly containerDevice: string;
  readonly ssid: string;
  readonly host: string;
  readonly cgroup: string;
  readonly unit: string;
  readonly executable: string;
  readonly script: string;
  readonly packageName: string;
  readonly user: string;
  readonly group: string;
  readonly container: string;
  readonly app: string;
}
const names: fc.Arbitrary<Names> = fc.record({
  devices: fc.array(deviceName.map(text), { minLength: 1, maxLength: 3 }),
  containerDevice: deviceName.map(text),
  ssid: anyName,
  host: anyName,
  cgroup: anyName,
  unit: anyName,
  executable: anyName,
  script: anyName,
  packageName: anyName,
  user: anyName,
  group: anyName,
  container: anyName,
  app: anyName,
});

/** Every device has a default route and an address. */
function networkOf(devices: readonly string[]): Network {
  const flags = { tentative: false, deprecated: false, dadFailed: false, secondary: false };
  const route = { family: 4 as const, table: 254, type: 1, scope: 0, protocol: 4, onlink: false };
  return {
    links: devices.map((name, i) => fakeLink({ index: i + 2, name, up: true, lowerUp: true })),
    addresses: devices.map((_, i) => ({
      ...{ linkIndex: i + 2, address: address(`192.0.2.${i + 2}`), prefixLength: 24, scope: 0 },
      ...flags,
    })),
    routes: devices.map((_, i) => ({
      ...route,
      ...{ destination: prefix('0.0.0.0/0'), metric: 100 + i, oif: i + 2, gateway: address(`192.0.2.${i + 101}`) },
    })),
  };
}

/** The table as nft gets it. */
function rendered(given: Names): string {
  const network = networkOf(given.devices);
  const uplinks = joinUplinks([], { found: discoverUplinks(network), tellings: new Map() });
  const ids = new Map(uplinks.map(({ name }, i) => [name, i + 1]));
  const { uplinks: states, onLink } = observeHost(network, uplinks, ids);
  const match = (kind: Match['kind'], value: string): Match => ({ kind, value, at });
  const to = [{ text: given.host, target: { kind: 'name' as const, name: given.host }, at }];
  const policySet = {
    apps: [
      {
        app: given.app,
        match: [
          match('exec', given.executable),
          match('script', given.script),
          match('cgroup', `/${given.cgroup}`),
          match('unit', given.unit),
          match('user', given.user),
          match('group', given.group),
          match('container', given.container),
          { ...match('exec', `/${given.packageName}`), fromPackage: given.packageName },
        ],
        rules: [{ to, do: 'allow' as const, at, layer: 'administrator' as const }],
        via: {
          layer: 'administrator' as const,
          value: { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block' as const, at },
        },
        files: [],
      },
    ],
    uplinks,
    systemDefault: {
      otherwise: { do: 'allow' as const, at },
      unknown: { do: 'deny' as const, at },
      whenAway: 'closed' as const,
    },
  };
  const facts: Facts = {
    uplinks: states.map((state) => ({ ...state, network: { ssid: given.ssid, domains: [given.host] } })),
    onLink,
    resolvers: [],
    names: new Map([
      [given.host, { known: true, addresses: [{ address: address('203.0.113.9'), expiresAtMs: NOW + 60_000 }] }],
    ]),
    users: new Map([[given.user, 1000]]),
    groups: new Map([[given.group, 1000]]),
    packages: new Map([[given.packageName, { executables: [`/${given.packageName}`], scripts: [] }]]),
    containers: new Map([[CONTAINER, [given.container]]]),
    forwarded: [],
  };
  const index = indexApps(policySet);
  const programs = {
    none: PROGRAM_NONE_FIRST,
    numbers: new Map([...namedPrograms(index)].map(({ program }, i) => [programName(program), i + 1])),
  };
  const cgroups = [`/${given.cgroup}`, `/${given.unit}`, CONTAINER_CGROUP].map((path, i) => ({
    ...{ path, id: BigInt(i + 100), level: 1 },
  }));
  const { plan } = compile({
    ...{ policySet, index, facts, host: { queue: 'nft', cgroups, programs }, nowMs: NOW },
    appIds: new Map([[given.app, 1]]),
  });
  return renderRuleset(plan.nft, NOW);
}

const QUOTED = /"([^"]*)"/g;
/** All that is written outside of quotes. */
const OUTSIDE = /^[\sA-Za-z0-9_.:,;@{}=&|!<>()/+-]*$/;

describe('renderRuleset', () => {
  it('renderRuleset writes of names from outside those of devices alone, each as it is, between quotes', () => {
    fc.assert(
      fc.property(names, (given) => {
        const table = rendered(given);
        const known = new Set([
          ...given.devices,
          'lo',
          'denied',
          'no uplink',
          'dropped',
          'not accepted',
          'another device',
          'answers by another uplink',
          ...OVERLAY_KINDS,
        ]);
        expect(table.replaceAll(QUOTED, '')).toMatch(OUTSIDE);
        for (const line of table.split('\n')) {
          const isComment = line.trimStart().startsWith('comment ');
          for (const [, quoted = ''] of line.matchAll(QUOTED)) {
            if (isComment) expect(quoted).toMatch(/^[\w ,.:;'()-]+$/);
            else expect(known).toContain(quoted);
            expect(isComment || !/[*\\]/.test(quoted), quoted).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('renderRuleset writes as much for devices called in any way as for as many with plain names', () => {
    fc.assert(
      fc.property(names, (given) => {
        const taken = discoverUplinks(networkOf(given.devices)).map(({ device }) => device);
        const isTwice = new Set(taken).size < taken.length;
        fc.pre(!isTwice);
        const plain = { ...given, devices: taken.map((_, i) => `plain${i}`) };
        expect(rendered({ ...given, devices: taken }).split('\n')).toHaveLength(rendered(plain).split('\n').length);
      }),
      { numRuns: 100 },
    );
  });
});

describe('renderRule', () => {
  it.each(['w*"accept#', 'w*', 'q"x', 'a\\*', 'a\u001bb', '0123456789abcdef', 'a\ufffd'])(
    'renderRule writes no rule about a device called %j',
    (name) => {
      const compare = { kind: 'compare', field: { kind: 'meta oifname' }, values: [name] } as const;
      expect(() => renderRule({ expressions: [compare] })).toThrow(RangeError);
    },
  );
});
