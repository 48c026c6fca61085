/** The examples are policies as people would write them: each must be without fault, and mean what its comments say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/net/address.ts';
import type { Flow } from '../../src/net/flow.ts';
import { type DecideContext, decide } from '../../src/policy/decide.ts';
import type { Decision } from '../../src/policy/decision.ts';
import { expandPackages } from '../../src/policy/expand-packages.ts';
import { explain } from '../../src/policy/explain.ts';
import type { UplinkState } from '../../src/policy/facts.ts';
import type { ProcessOwner } from '../../src/policy/identity.ts';
import { indexApps } from '../../src/policy/match-app.ts';
import { mergePolicies } from '../../src/policy/merge.ts';
import type { Uplink, UplinkProperties } from '../../src/policy/model.ts';
import { parsePolicyFile } from '../../src/policy/parse-file.ts';
import { builtinSystemDefault } from '../../src/policy/validate-system-default.ts';

const directory = join(import.meta.dirname, '../../examples');
const names = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
const parsed = new Map(names.map((name) => [name, parsePolicyFile(name, readFileSync(join(directory, name)))]));
const merged = mergePolicies([
  { layer: 'package', policies: [...parsed.values()].flatMap(({ policy }) => policy ?? []) },
]);

const plain: UplinkProperties = { type: 'other', metered: false, roaming: false, trusted: false, encrypted: false };
const at = { file: '/etc/pointsman/uplinks', line: 1, column: 1 };
const uplinks: readonly Uplink[] = [
  {
    name: 'home',
    device: 'wlan0',
    priority: 50,
    properties: { ...plain, type: 'wifi', trusted: true },
    gateways: {},
    at,
  },
  {
    name: 'phone',
    device: 'wwan0',
    priority: 10,
    properties: { ...plain, type: 'cellular', metered: true },
    gateways: {},
    at,
  },
];

/** The addresses of all names in the examples. */
const NAMED = '198.51.100.7';
const WEB = '203.0.113.9';
const LAN = '192.168.1.20';

function address(text: string) {
  const value = parseAddress(text);
  if (value === undefined) throw new RangeError(text);
  return value;
}

function stateOf(uplink: Uplink, index: number, isUp: boolean): UplinkState {
  const { name, device } = uplink;
  return {
    name,
    id: index + 1,
    device,
    deviceIndex: index + 1,
    up: isUp,
    v4: true,
    v6: true,
    addresses: [],
    onLink: [],
    gateways: {},
  };
}

const SSHD = '/usr/sbin/sshd';
const packages = new Map([['openssh-server', { executables: [SSHD], scripts: [] }]]);
const CONTAINER = '4f5a'.repeat(16);

function contextWith(up: readonly string[]): DecideContext {
  const written = { apps: merged.apps, uplinks, systemDefault: builtinSystemDefault };
  const { policySet } = expandPackages(written, packages);
  const known = { known: true, addresses: [{ address: address(NAMED), expiresAtMs: 1000 }] } as const;
  const hosts = merged.apps
    .flatMap(({ rules }) => rules.flatMap(({ to }) => to))
    .flatMap(({ target }) => (target.kind === 'name' ? [target.name] : []));
  return {
    policySet,
    index: indexApps(policySet),
    facts: {
      uplinks: uplinks.map((uplink, index) => stateOf(uplink, index, up.includes(uplink.name))),
      onLink: [],
      resolvers: [],
      names: new Map(hosts.map((host) => [host, known])),
      users: new Map([
        ['_apt', 42],
        ['guest', 1001],
      ]),
      groups: new Map(),
      packages,
      containers: new Map([[CONTAINER, ['homeassistant']]]),
    },
    nowMs: 0,
    unknownNames: 'queue',
  };
}

const OWNERS: Readonly<Record<string, Partial<ProcessOwner>>> = {
  thunderbird: { executable: '/usr/lib/thunderbird/thunderbird' },
  firefox: { executable: '/usr/lib/firefox-esr/firefox-esr' },
  apt: { uid: 42, executable: '/usr/lib/apt/methods/http', cgroup: '/user.slice/user-1000.slice/session-1.scope' },
  updates: { uid: 42, executable: '/usr/lib/apt/methods/http', cgroup: '/system.slice/apt-daily.service' },
  ssh: { executable: '/usr/bin/ssh' },
  restic: { executable: '/usr/bin/restic' },
  linphone: { executable: '/usr/bin/linphone' },
  timesyncd: { cgroup: '/system.slice/systemd-timesyncd.service' },
  game: {
    executable: '/home/me/game',
    cgroup: '/user.slice/user-1000.slice/user@1000.service/games.slice/run-1.scope',
  },
  cups: { uid: 0, cgroup: '/system.slice/cups.service' },
  guest: { uid: 1001, executable: '/usr/bin/curl' },
  sshd: { uid: 0, executable: SSHD, cgroup: '/system.slice/ssh.service' },
  'yt-dlp': { script: '/usr/bin/yt-dlp', executable: '/usr/bin/python3.11' },
  'ffmpeg of yt-dlp': { executable: '/usr/bin/ffmpeg', childOf: 'yt-dlp' },
  signal: {
    executable: '/app/Signal/signal-desktop',
    executableUnproven: true,
    cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.signal.Signal-4711.scope',
  },
  'home assistant': {
    uid: 0,
    executable: '/usr/local/bin/python3.13',
    executableUnproven: true,
    cgroup: `/system.slice/docker-${CONTAINER}.scope`,
  },
  'firefox of a guest': { uid: 1001, executable: '/usr/lib/firefox-esr/firefox-esr' },
};

function flowTo(host: string, port: number, protocol: 'tcp' | 'udp'): Flow {
  const destination = address(host);
  const source = address('192.168.1.2');
  return {
    protocol: protocol === 'tcp' ? 6 : 17,
    source,
    destination,
    sourcePort: 40000,
    destinationPort: port,
    loopback: false,
  };
}

/** `uplink home` for an accept by an uplink, `system` by the system's route; else the refusal. */
function summary(decision: Decision): string {
  if (decision.verdict === 'reject') return decision.cause;
  if (decision.verdict !== 'accept') return decision.verdict;
  return decision.way.kind === 'uplink' ? `uplink ${decision.way.name}` : decision.way.kind;
}

const BOTH = ['home', 'phone'];
const CASES: readonly (readonly [
  who: string,
  host: string,
  port: number,
  protocol: 'tcp' | 'udp',
  up: readonly string[],
  want: string,
])[] = [
  ['thunderbird', WEB, 993, 'tcp', BOTH, 'system'],
  ['thunderbird', WEB, 587, 'tcp', BOTH, 'system'],
  ['thunderbird', WEB, 143, 'tcp', BOTH, 'denied'],
  ['thunderbird', WEB, 25, 'tcp', BOTH, 'denied'],
  ['thunderbird', LAN, 53, 'udp', BOTH, 'system'],
  ['firefox', WEB, 443, 'udp', BOTH, 'uplink home'],
  ['firefox', WEB, 443, 'tcp', ['phone'], 'uplink phone'],
  ['firefox', LAN, 80, 'tcp', BOTH, 'denied'],
  ['firefox', LAN, 53, 'udp', BOTH, 'system'],
  ['firefox', '224.0.0.251', 5353, 'udp', BOTH, 'denied'],
  ['firefox', WEB, 22, 'tcp', BOTH, 'denied'],
  ['apt', NAMED, 80, 'tcp', BOTH, 'uplink home'],
  ['apt', NAMED, 80, 'tcp', ['phone'], 'uplink phone'],
  ['apt', WEB, 80, 'tcp', BOTH, 'denied'],
  ['updates', NAMED, 443, 'tcp', BOTH, 'uplink home'],
  ['updates', NAMED, 443, 'tcp', ['phone'], 'no-uplink'],
  ['ssh', WEB, 22, 'tcp', BOTH, 'system'],
  ['ssh', LAN, 2222, 'tcp', BOTH, 'system'],
  ['ssh', WEB, 443, 'tcp', BOTH, 'denied'],
  ['restic', NAMED, 443, 'tcp', BOTH, 'uplink home'],
  ['restic', NAMED, 8000, 'tcp', ['phone'], 'no-uplink'],
  ['restic', WEB, 443, 'tcp', BOTH, 'denied'],
  ['linphone', WEB, 5061, 'tcp', BOTH, 'uplink home'],
  ['linphone', WEB, 30000, 'udp', ['phone'], 'uplink phone'],
  ['linphone', WEB, 22, 'tcp', BOTH, 'denied'],
  ['timesyncd', WEB, 123, 'udp', BOTH, 'system'],
  ['timesyncd', WEB, 443, 'tcp', BOTH, 'drop'],
  ['game', WEB, 443, 'tcp', ['phone'], 'no-uplink'],
  ['game', WEB, 27015, 'udp', ['phone'], 'system'],
  ['game', WEB, 25, 'tcp', BOTH, 'drop'],
  ['cups', LAN, 631, 'tcp', BOTH, 'system'],
  ['cups', '224.0.0.251', 5353, 'udp', BOTH, 'system'],
  ['cups', WEB, 443, 'tcp', BOTH, 'denied'],
  ['guest', WEB, 443, 'tcp', BOTH, 'system'],
  ['guest', LAN, 80, 'tcp', BOTH, 'denied'],
  ['guest', WEB, 22, 'tcp', BOTH, 'denied'],
  ['firefox of a guest', WEB, 443, 'tcp', BOTH, 'uplink home'],
  ['sshd', LAN, 5432, 'tcp', BOTH, 'system'],
  ['sshd', WEB, 443, 'tcp', BOTH, 'denied'],
  ['yt-dlp', WEB, 443, 'tcp', BOTH, 'uplink home'],
  ['yt-dlp', WEB, 22, 'tcp', BOTH, 'denied'],
  ['ffmpeg of yt-dlp', WEB, 443, 'tcp', ['phone'], 'uplink phone'],
  ['ffmpeg of yt-dlp', LAN, 80, 'tcp', BOTH, 'denied'],
  ['signal', WEB, 443, 'tcp', BOTH, 'system'],
  ['signal', WEB, 3478, 'udp', BOTH, 'system'],
  ['signal', WEB, 80, 'tcp', BOTH, 'denied'],
  ['signal', LAN, 443, 'tcp', BOTH, 'denied'],
  ['home assistant', LAN, 80, 'tcp', BOTH, 'system'],
  ['home assistant', WEB, 443, 'tcp', BOTH, 'uplink home'],
  ['home assistant', WEB, 80, 'tcp', BOTH, 'denied'],
];

/** Who connects to whom, to which port. */
const INBOUND: readonly (readonly [who: string, peer: string, port: number, protocol: 'tcp' | 'udp', want: string])[] =
  [
    ['sshd', LAN, 22, 'tcp', 'inbound'],
    ['sshd', LAN, 2222, 'tcp', 'denied'],
    ['sshd', WEB, 22, 'tcp', 'denied'],
    ['yt-dlp', LAN, 8000, 'tcp', 'denied'],
    ['ffmpeg of yt-dlp', WEB, 8000, 'udp', 'denied'],
    ['signal', WEB, 40000, 'udp', 'inbound'],
    ['signal', LAN, 40000, 'udp', 'denied'],
    ['home assistant', LAN, 8123, 'tcp', 'inbound'],
    ['home assistant', WEB, 8123, 'tcp', 'denied'],
    ['home assistant', LAN, 5353, 'udp', 'inbound'],
    ['thunderbird', WEB, 993, 'tcp', 'inbound'],
  ];

describe('examples', () => {
  it.each(names)('examples/%s is without errors and warnings', (name) => {
    expect(parsed.get(name)?.diagnostics).toEqual([]);
    expect(parsed.get(name)?.policy).toBeDefined();
  });

  it('examples do not claim the same program twice', () => {
    expect(merged.diagnostics).toEqual([]);
    expect(merged.apps).toHaveLength(names.length);
  });

  it('examples are all decided below', () => {
    const decided = CASES.map(([who, host, port, protocol, up]) => decideFor(who, host, port, protocol, up).app);
    expect(new Set(decided)).toEqual(new Set(merged.apps.map(({ app }) => app)));
  });

  it.each(CASES)('examples decide about %s to %s:%d/%s with %j: %s', (who, host, port, protocol, up, want) => {
    expect(summary(decideFor(who, host, port, protocol, up))).toBe(want);
  });

  it.each(INBOUND)('examples decide about %s when %s connects to port %d/%s: %s', (who, peer, port, protocol, want) => {
    const out = flowTo(peer, port, protocol);
    const flow: Flow = { ...out, source: out.destination, destination: out.source, inbound: true };
    const context = contextWith(BOTH);
    expect(summary(decide(context, ownerOf(who), flow))).toBe(want);
    const subject = { kind: 'owner', owner: ownerOf(who), called: who } as const;
    const explanation = explain(context, { subject, source: peer, destination: `${port}`, flows: [flow], path: '' });
    const [explained] = explanation.flows;
    expect(explained?.verdict).toBe(want === 'inbound' ? 'accept' : 'reject');
    // The entry that let it in is on the line that it names.
    const matched = explained?.accept?.find(({ outcome }) => outcome === 'matched');
    expect(matched !== undefined).toBe(want === 'inbound' && explained?.accept !== undefined);
    if (matched !== undefined) {
      expect(matched).toMatchObject({ file: explained?.file, line: explained?.line });
      const line = readFileSync(join(directory, matched.file), 'utf8').split('\n')[matched.line - 1];
      expect(line).toContain(matched.text);
    }
  });
});

function ownerOf(who: string): ProcessOwner {
  return { kind: 'process', pid: 1, uid: 1000, ...OWNERS[who] };
}

function decideFor(who: string, host: string, port: number, protocol: 'tcp' | 'udp', up: readonly string[]): Decision {
  return decide(contextWith(up), ownerOf(who), flowTo(host, port, protocol));
}
