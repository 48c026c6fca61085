/**
 * Golden plans: policies and a machine in, the kernel objects as nft, iproute2 and iptables would spell them out. Each
 * folder of `plan/` is a case; `vitest -u` rewrites what is wanted, and the diff is what a reviewer reads.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../src/net/address.ts';
import { formatMark } from '../../src/net/mark.ts';
import { compile } from '../../src/plan/compile.ts';
import { renderRuleset } from '../../src/plan/nft/render.ts';
import { namedPrograms, programName } from '../../src/plan/program.ts';
import { renderPlannedRoute, renderPlannedRule, renderXtablesQueue } from '../../src/plan/render-routing.ts';
import { PROGRAM_NONE_FIRST } from '../../src/plan/reserved.ts';
import type { Facts, FamilyHealth, UplinkState } from '../../src/policy/facts.ts';
import { indexApps } from '../../src/policy/match-app.ts';
import { mergePolicies } from '../../src/policy/merge.ts';
import type { Uplink } from '../../src/policy/model.ts';
import { parsePolicyFile, parseSystemDefaultFile } from '../../src/policy/parse-file.ts';
import { builtinSystemDefault } from '../../src/policy/validate-system-default.ts';

const casesDir = join(import.meta.dirname, 'plan');
const NOW = 1_800_000_000_000;

interface HostFile {
  readonly queue: 'nft' | 'xtables';
  readonly cgroups: Record<string, number>;
  readonly users: Record<string, number>;
  readonly groups?: Record<string, number>;
  /** id -> names */
  readonly containers?: Record<string, string[]>;
  readonly forwarded?: readonly { readonly device: string; readonly index: number; readonly cgroups: string[] }[];
  /** Sockets are marked; programs are numbered in the order of the policies. */
  readonly marks?: boolean;
  readonly 'on-link': readonly string[];
  readonly overstated?: readonly string[];
  readonly resolvers?: readonly string[];
  readonly 'loopback-resolvers'?: readonly string[];
  readonly 'tunnel-ends'?: readonly string[];
  readonly uplinks: readonly {
    readonly name: string;
    readonly device: string;
    readonly type: Uplink['properties']['type'];
    readonly metered?: boolean;
    /** In megabits per second. */
    readonly mbit?: number;
    readonly weight?: number;
    readonly health?: { readonly v4?: FamilyHealth; readonly v6?: FamilyHealth };
    readonly up: boolean;
    readonly addresses: readonly string[];
    readonly gateway: { readonly v4?: string; readonly v6?: string };
  }[];
  readonly names: Record<string, readonly string[]>;
}

function required<T>(value: T | undefined, text: string): T {
  if (value === undefined) throw new Error(`cannot read ${text}`);
  return value;
}
const address = (text: string): Address => required(parseAddress(text), text);
const prefix = (text: string): Prefix => required(parsePrefix(text), text);

function uplinkState(uplink: HostFile['uplinks'][number], index: number): UplinkState {
  const { name, device, up, addresses, gateway, health } = uplink;
  return {
    name,
    id: index + 1,
    device,
    deviceIndex: index + 2,
    up,
    v4: up && gateway.v4 !== undefined,
    v6: up && gateway.v6 !== undefined,
    addresses: addresses.map(address),
    onLink: [],
    gateways: {
      ...(gateway.v4 === undefined ? {} : { v4: address(gateway.v4) }),
      ...(gateway.v6 === undefined ? {} : { v6: address(gateway.v6) }),
    },
    ...(health && { health }),
  };
}

function readCase(dir: string) {
  const host = parse(readFileSync(join(dir, 'host.yaml'), 'utf8')) as HostFile;
  const policies = readdirSync(dir)
    .filter((file) => file.endsWith('.yaml') && file !== 'host.yaml' && file !== 'default.yaml')
    .map((file) => {
      const parsed = parsePolicyFile(file, readFileSync(join(dir, file)));
      expect(parsed.diagnostics).toEqual([]);
      return required(parsed.policy, file);
    });
  const defaultPath = join(dir, 'default.yaml');
  const systemDefault = existsSync(defaultPath)
    ? required(parseSystemDefaultFile('default.yaml', readFileSync(defaultPath)).systemDefault, defaultPath)
    : builtinSystemDefault;
  const { apps } = mergePolicies([{ layer: 'administrator', policies }]);
  const uplinks = host.uplinks.map(
    ({ name, device, type, metered = false, mbit, weight }): Uplink => ({
      name,
      device,
      priority: 100,
      ...(weight !== undefined && { weight }),
      properties: {
        type,
        metered,
        roaming: false,
        trusted: false,
        encrypted: false,
        ...(mbit !== undefined && { bandwidthBitsPerSecond: mbit * 1_000_000 }),
      },
      gateways: {},
      at: { file: `${name}.yaml`, line: 1, column: 1 },
    }),
  );
  const facts: Facts = {
    uplinks: host.uplinks.map(uplinkState),
    onLink: host['on-link'].map(prefix),
    ...(host.overstated && { overstated: host.overstated.map(prefix) }),
    resolvers: (host.resolvers ?? []).map(address),
    ...(host['loopback-resolvers'] && { loopbackResolvers: host['loopback-resolvers'].map(address) }),
    ...(host['tunnel-ends'] && { tunnelEnds: host['tunnel-ends'].map(address) }),
    names: new Map(
      Object.entries(host.names).map(([name, addresses]) => [
        name,
        { known: true, addresses: addresses.map((text) => ({ address: address(text), expiresAtMs: NOW + 300_000 })) },
      ]),
    ),
    users: new Map(Object.entries(host.users)),
    groups: new Map(Object.entries(host.groups ?? {})),
    packages: new Map(),
    containers: new Map(Object.entries(host.containers ?? {})),
    ...(host.forwarded && {
      forwarded: host.forwarded.map(({ device, index, cgroups }) => ({ device, deviceIndex: index, cgroups })),
    }),
  };
  const cgroups = Object.entries(host.cgroups).map(([path, id]) => ({
    path,
    id: BigInt(id),
    level: path.split('/').length - 1,
  }));
  const policySet = { apps, systemDefault, uplinks };
  const numbers = new Map(
    [...namedPrograms(indexApps(policySet))].map(({ program }, i) => [programName(program), i + 1]),
  );
  const programs = host.marks === true && { programs: { none: PROGRAM_NONE_FIRST + 1, numbers } };
  return { policySet, facts, host: { queue: host.queue, cgroups, ...programs } };
}

describe('compile()', () => {
  for (const name of readdirSync(casesDir)) {
    it(`gives the plan of case ${name}`, async () => {
      const dir = join(casesDir, name);
      const input = readCase(dir);
      const appIds = new Map(input.policySet.apps.map(({ app }, i) => [app, i + 1]));
      const { plan } = compile({ ...input, appIds, nowMs: NOW });
      await expect(renderRuleset(plan.nft, NOW)).toMatchFileSnapshot(join(dir, 'want.nft'));
      const routing = [
        ...plan.rules.map(renderPlannedRule),
        ...plan.routes.map(renderPlannedRoute),
        ...(plan.xtablesQueue === undefined ? [] : renderXtablesQueue(plan.xtablesQueue)),
        ...[...plan.socketWays].map(
          ([n, { v4, v6 }]) => `sockets of program ${n}: ${formatMark(v4)} ${formatMark(v6)}`,
        ),
      ];
      await expect(`${routing.join('\n')}\n`).toMatchFileSnapshot(join(dir, 'want.routing'));
    });
  }
});
