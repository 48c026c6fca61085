/**
 * How things stand without a daemon: files, machine and what follows from them, read once and without changing anything.
 * Parts that the caller may not read are left out, with a note.
 */

import { existsSync, readFileSync } from 'node:fs';
import { openCgroupTree } from '../kernel/cgroup.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Clock, MonotonicMs } from '../net/clock.ts';
import { type Compilation, compile } from '../plan/compile.ts';
import { namedPrograms, programName } from '../plan/program.ts';
import {
  APP_FIRST,
  APP_LAST,
  PROGRAM_FIRST,
  PROGRAM_LAST,
  PROGRAM_NONE_FIRST,
  UPLINK_FIRST,
  UPLINK_LAST,
} from '../plan/reserved.ts';
import { activeProfiles } from '../policy/active-profiles.ts';
import type { DecideContext } from '../policy/decide.ts';
import { expandPackages } from '../policy/expand-packages.ts';
import type { NameState } from '../policy/facts.ts';
import { takenNames } from '../policy/join-uplinks.ts';
import { type AppIndex, indexApps } from '../policy/match-app.ts';
import { networkInterest } from '../policy/network-interest.ts';
import { selectProfiles } from '../policy/select-profiles.ts';
import { usesUplinks } from '../policy/uses-uplinks.ts';
import { assignIds, emptyRegister, type IdRegister, registerFrom } from '../store/id-register.ts';
import type { Paths } from '../store/paths.ts';
import { type LoadedPolicies, PolicyFiles } from '../store/policy-files.ts';
import { attachNetworks } from './attached-network.ts';
import { Containers } from './containers.ts';
import { dhcpLeases, leaseDirectories } from './dhcp-leases.ts';
import { localTime } from './local-time.ts';
import { type Machine, type MachineSources, observeMachine, withUplinks } from './machine.ts';
import type { ManagedDevices } from './managed-devices.ts';
import { type LookUp, lookUpName, type NameAnswer } from './name-lookup.ts';
import { hostNames, packageNames } from './named-things.ts';
import { MAX_LOOKUPS_AT_ONCE, MIN_LIFETIME_MS } from './names.ts';
import { readNetwork } from './network.ts';
import { INIT_PID } from './network-domains.ts';
import { networkSources } from './network-sources.ts';
import { isInOurNetwork } from './own-network.ts';
import { packageShippers } from './package-shippers.ts';
import { Packages } from './packages.ts';

export interface Situation {
  readonly loaded: LoadedPolicies;
  readonly index: AppIndex;
  readonly machine: Machine;
  readonly appIds: ReadonlyMap<string, number>;
  readonly uplinkIds: ReadonlyMap<string, number>;
  readonly nowMs: MonotonicMs;
  /** What could not be read or was left out, a sentence each. */
  readonly notes: readonly string[];
}

export interface SituationOptions {
  readonly paths: Paths;
  /** Absent where netlink cannot be opened: then every uplink counts as missing. */
  readonly kernel?: Pick<Kernel, 'routing'> & Partial<Pick<Kernel, 'nft' | 'neighbours' | 'wireless' | 'tunnels'>>;
  /** What NetworkManager and ModemManager say. */
  readonly managed?: Pick<ManagedDevices, 'tellings' | 'device'>;
  readonly lookUp?: LookUp;
  /** Only these of the names in rules; all of them unless stated. */
  readonly names?: readonly string[];
  readonly clock: Clock;
}

/** Where the kernel describes itself: without it no program can mark sockets. */
const VMLINUX_BTF = '/sys/kernel/btf/vmlinux';
const NO_ROUTING = {
  links: () => [],
  addresses: () => [],
  namespaceIdOf: () => undefined,
  routes: () => [],
  rules: () => [],
  deviceTo: () => undefined,
};

export async function readSituation({
  paths,
  kernel,
  managed,
  lookUp = lookUpName,
  names,
  clock,
}: SituationOptions): Promise<Situation> {
  const nowMs = clock.monotonicMs();
  const files = new PolicyFiles(paths, { writesLastGood: false, shippers: packageShippers(paths) }).load();
  const network = readNetwork(kernel?.routing ?? NO_ROUTING);
  const packages = new Packages().programs(packageNames(files.policySet));
  const routing = { ...refuseChanges, ...(kernel?.routing ?? NO_ROUTING) };
  const carriers = { routing, ...(kernel?.tunnels !== undefined && { tunnels: kernel.tunnels }) };
  const told = { ...carriers, ...(managed !== undefined && { managed }) };
  const withFound = withUplinks(told, files.policySet, network);
  const { policySet } = expandPackages(withFound, packages);
  const loaded = { ...files, policySet };
  const index = indexApps(policySet);
  const registers = readRegisters(paths.ids);
  const appIds = assignIds(
    registers.apps,
    policySet.apps.map(({ app }) => app),
  ).register.inUse;
  const uplinkIds = assignIds(registers.uplinks, takenNames(policySet.uplinks)).register.inUse;
  const states = await resolveAll(names ?? hostNames(policySet), lookUp, nowMs);
  const notes = kernel === undefined ? ['the network cannot be read: every uplink counts as missing'] : [];
  const sources = {
    routing,
    cgroups: openCgroupTree(),
    queue: await queueOf(kernel),
    containers: new Containers(),
    ...networksOf(kernel, managed),
    leases: dhcpLeases({
      ...(managed !== undefined && { managed }),
      ...leaseDirectories(isInOurNetwork(INIT_PID), paths.root),
    }),
  };
  const observed = observeMachine(sources, { network, policySet, index, uplinkIds, names: states, packages });
  const programs = { none: PROGRAM_NONE_FIRST, numbers: programNumbers(index, registers.programs) };
  // A daemon would mark sockets where it can: seen from here, where there is what it needs.
  const isMarked = sources.cgroups !== undefined && existsSync(VMLINUX_BTF);
  const machine = isMarked ? { ...observed, host: { ...observed.host, programs } } : observed;
  const situation = { index, machine, appIds, uplinkIds, nowMs, notes };
  const holding = { uplinks: machine.facts.uplinks, time: localTime(clock.wallMs()) };
  const selected = selectProfiles(policySet, activeProfiles(policySet.profiles ?? [], holding));
  if (selected.policySet === policySet) return { loaded, ...situation };
  const now = { ...loaded, policySet: selected.policySet };
  return { ...situation, loaded: now, index: indexApps(now.policySet) };
}

export function situationContext({ loaded, index, machine, nowMs }: Situation): DecideContext {
  const waiting = { unknownNames: 'queue', missingUplink: 'queue' } as const;
  return { policySet: loaded.policySet, index, facts: machine.facts, nowMs, ...waiting };
}

export function compileSituation({ loaded, machine, appIds, nowMs }: Situation): Compilation {
  const { policySet } = loaded;
  const facts = usesUplinks(policySet) ? machine.facts : { ...machine.facts, uplinks: [] };
  return compile({ policySet, facts, host: machine.host, appIds, nowMs });
}

/** What only the daemon may do is out of reach here by construction. */
const refuse = (): never => {
  throw new KernelError('change the network', 0, '', '', 'a situation is only read');
};
const refuseChanges = {
  ownRoutes: () => [],
  ownRules: () => [],
  addRoute: refuse,
  deleteRoute: refuse,
  addRule: refuse,
  deleteRule: refuse,
};

/** As they are known without asking anybody, as far as profiles speak of them. */
function networksOf(
  { neighbours, wireless }: Partial<Pick<Kernel, 'neighbours' | 'wireless'>> = {},
  managed: SituationOptions['managed'],
): Pick<MachineSources, 'networks'> {
  if (neighbours === undefined || wireless === undefined) return {};
  const sources = networkSources({ kernel: { neighbours, wireless }, ...(managed !== undefined && { managed }) });
  const attach: NonNullable<MachineSources['networks']>['attach'] = (uplinks, network, profiles) =>
    attachNetworks(uplinks, network, networkInterest(profiles), sources);
  return { networks: { attach } };
}

/** Where it cannot be asked, what most kernels have. */
async function queueOf(kernel: SituationOptions['kernel']): Promise<'nft' | 'xtables'> {
  try {
    return (await kernel?.nft?.supports('queue')) === false ? 'xtables' : 'nft';
  } catch (error) {
    if (error instanceof KernelError) return 'nft';
    throw error;
  }
}

const programNumbers = (index: AppIndex, register: IdRegister): ReadonlyMap<string, number> =>
  assignIds(
    register,
    [...namedPrograms(index)].map(({ program }) => programName(program)),
  ).register.inUse;

function readRegisters(path: string): Readonly<Record<'apps' | 'uplinks' | 'programs', IdRegister>> {
  let stored: { readonly apps?: unknown; readonly uplinks?: unknown; readonly programs?: unknown } = {};
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null) stored = parsed;
  } catch {
    // No daemon has run yet, or its numbers are not for us to read: then they are as for a first start.
  }
  return {
    apps: registerFrom(stored.apps, APP_FIRST, APP_LAST) ?? emptyRegister(APP_FIRST, APP_LAST),
    uplinks: registerFrom(stored.uplinks, UPLINK_FIRST, UPLINK_LAST) ?? emptyRegister(UPLINK_FIRST, UPLINK_LAST),
    programs: registerFrom(stored.programs, PROGRAM_FIRST, PROGRAM_LAST) ?? emptyRegister(PROGRAM_FIRST, PROGRAM_LAST),
  };
}

async function resolveAll(
  names: readonly string[],
  lookUp: LookUp,
  nowMs: MonotonicMs,
): Promise<ReadonlyMap<string, NameState>> {
  const states = new Map<string, NameState>();
  const waiting = [...names];
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      states.set(name, stateOf(await lookUp(name), nowMs));
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_LOOKUPS_AT_ONCE, names.length) }, work));
  return states;
}

function stateOf(answer: NameAnswer, nowMs: MonotonicMs): NameState {
  switch (answer.kind) {
    case 'addresses':
      return {
        known: true,
        addresses: answer.addresses.map(({ address }) => ({ address, expiresAtMs: nowMs + MIN_LIFETIME_MS })),
      };
    case 'none':
      return { known: true, addresses: [] };
    case 'failed':
      return { known: false };
  }
}
