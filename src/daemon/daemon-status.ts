/** `GET /v1/status` from what the parts know. Pure. */
import type {
  AppStatus,
  DaemonState,
  HealthWarning,
  IdentityStatus,
  Status,
  UplinkStatus,
  VerdictStatistics,
} from '../api/status.ts';
import { formatAddress } from '../net/address.ts';
import { namedPrograms } from '../plan/program.ts';
import { describeProperties } from '../policy/choose-uplink.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { MatchKind } from '../policy/model.ts';
import type { InForce } from './in-force.ts';
import type { VerdictStats } from './verdict-message.ts';

export type StatusFacts = Pick<
  Status,
  | 'version'
  | 'pid'
  | 'sinceMs'
  | 'root'
  | 'queue'
  | 'identity'
  | 'dns'
  | 'warnings'
  | 'diagnostics'
  | 'residentBytes'
  | 'confirmBeforeMs'
> & {
  readonly inForce: InForce | undefined;
  readonly isStopping: boolean;
  /** Absent while the verdict thread does not run. */
  readonly verdicts: VerdictStats | undefined;
};

export function daemonStatus({ inForce, isStopping, verdicts, ...facts }: StatusFacts): Status {
  return {
    ...facts,
    state: stateOf(inForce, isStopping, facts.warnings),
    revision: inForce?.snapshot.revision ?? 0,
    apps:
      inForce === undefined ? [] : inForce.policySet.apps.map((policy) => appStatus(policy, inForce, facts.identity)),
    uplinks: inForce === undefined ? [] : uplinkStatus(inForce),
    ...profileStatus(inForce),
    verdicts: statistics(verdicts),
  };
}

const DEGRADING: readonly string[] = ['apply-failed', 'queue-not-served', 'files-broken', 'internal-error'];

function stateOf(inForce: InForce | undefined, isStopping: boolean, warnings: readonly HealthWarning[]): DaemonState {
  if (isStopping) return 'stopping';
  if (inForce === undefined) return 'starting';
  if (warnings.some(({ code }) => code === 'panic-closed')) return 'blocked';
  return warnings.some(({ code }) => DEGRADING.includes(code)) ? 'degraded' : 'enforcing';
}

/** The most exact of the ways by which its processes are told. */
function tierOf(policy: EffectivePolicy, { index, ids }: InForce, identity: IdentityStatus): AppStatus['tier'] {
  if (policy.match.length === 0) return 'none';
  const kinds = new Set(policy.match.map(({ kind }) => kind));
  if (!namedPrograms(index).next().done && !identity.executables.inKernel) return 'slow path';
  const hasNumber = (kind: 'exec' | 'script'): boolean =>
    policy.match.some((entry) => entry.kind === kind && ids.programs.numbers.has(`${kind}:${entry.value}`));
  if (kinds.has('script') && identity.scripts.inKernel && hasNumber('script')) return 'script';
  if (kinds.has('exec') && hasNumber('exec')) return 'executable';
  const tiers = policy.match.map(({ kind }) => WITHOUT_NUMBER[kind]);
  return MOST_EXACT_FIRST.find((tier) => tiers.includes(tier)) ?? 'none';
}

const MOST_EXACT_FIRST: readonly AppStatus['tier'][] = ['slow path', 'cgroup', 'user'];

/** Of an entry whose program has no number in the kernel. Of a package without any program here there is nothing to tell. */
const WITHOUT_NUMBER: Readonly<Record<MatchKind, AppStatus['tier']>> = {
  script: 'slow path',
  exec: 'slow path',
  package: 'none',
  cgroup: 'cgroup',
  unit: 'cgroup',
  container: 'cgroup',
  flatpak: 'cgroup',
  snap: 'cgroup',
  desktop: 'cgroup',
  user: 'user',
  group: 'user',
  kernel: 'slow path',
};

function appStatus(policy: EffectivePolicy, inForce: InForce, identity: IdentityStatus): AppStatus {
  return {
    app: policy.app,
    id: inForce.ids.apps.get(policy.app) ?? 0,
    rules: policy.rules.length,
    files: policy.files.map(({ file }) => file),
    tier: tierOf(policy, inForce, identity),
    ...(policy.blocked !== undefined && { blocked: policy.blocked.because }),
  };
}

function profileStatus(inForce: InForce | undefined): Pick<Status, 'profiles'> {
  const { policySet: { profiles } = {}, activeProfiles } = inForce ?? {};
  if (profiles === undefined) return {};
  return { profiles: profiles.map(({ name }) => ({ name, holds: activeProfiles?.includes(name) === true })) };
}

function uplinkStatus({ policySet, machine }: InForce): UplinkStatus[] {
  const properties = new Map(policySet.uplinks.map((uplink) => [uplink.name, describeProperties(uplink.properties)]));
  const untaken = policySet.uplinks.filter((uplink) => uplink.untaken);
  const notTaken = { up: false, v4: false, v6: false, notTaken: true, addresses: [] } as const;
  const taken = machine.facts.uplinks.map(({ name, device, up, v4, v6, addresses, health }) => ({
    name,
    device,
    up,
    v4,
    v6,
    properties: properties.get(name) ?? '',
    addresses: addresses.map(formatAddress),
    ...(health !== undefined && { health }),
  }));
  return [
    ...taken,
    ...untaken.map(({ name, device }) => ({ ...notTaken, name, device, properties: properties.get(name) ?? '' })),
  ];
}

function statistics(verdicts: VerdictStats | undefined): VerdictStatistics {
  if (verdicts === undefined) return { queued: 0, accepted: 0, rejected: 0, dropped: 0, held: 0, undecodable: 0 };
  const decided = verdicts.accept + verdicts.reject + verdicts.drop;
  return {
    queued: verdicts.packets,
    accepted: verdicts.accept,
    rejected: verdicts.reject,
    dropped: verdicts.drop,
    held: verdicts.heldFlows,
    undecodable: verdicts.undecodable,
    ...(decided > 0 && { latencyMicroseconds: { p50: verdicts.latencyP50Us, p99: verdicts.latencyP99Us } }),
  };
}
