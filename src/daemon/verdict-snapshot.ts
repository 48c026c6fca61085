/**
 * What the verdict thread decides by: one immutable snapshot, handed over as the difference to the one before, since
 * cloning thousands of policies for one changed file would take longer than all the rest.
 */
import type { Programs } from '../plan/host.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { changedApps, findApp } from '../policy/sorted-apps.ts';

/** `appIds`: numbers 1..0xfdff of applications, for the marks. `revision` grows with each snapshot. */
export interface VerdictSnapshot {
  readonly revision: number;
  readonly policySet: PolicySet;
  readonly facts: Facts;
  readonly appIds: ReadonlyMap<string, number>;
  /** Absent: sockets carry no marks. */
  readonly programs?: Programs;
}

/** Absent parts are as before. Survives structured cloning. */
export interface SnapshotUpdate {
  readonly revision: number;
  readonly apps?: { readonly changed: readonly EffectivePolicy[]; readonly removed: readonly string[] };
  readonly systemDefault?: PolicySet['systemDefault'];
  readonly uplinks?: PolicySet['uplinks'];
  readonly facts?: Facts;
  /** Where nothing else of the facts is otherwise: those that changed, of the same names as before. */
  readonly names?: Facts['names'];
  readonly appIds?: ReadonlyMap<string, number>;
  readonly programs?: Programs;
}

/** Compares parts by object identity: snapshots share what has not changed. */
export function diffSnapshot(before: VerdictSnapshot, after: VerdictSnapshot): SnapshotUpdate {
  const [old, now] = [before.policySet, after.policySet];
  const apps = old.apps === now.apps ? undefined : diffApps(old.apps, now.apps);
  return {
    revision: after.revision,
    ...(apps !== undefined && { apps }),
    ...(old.systemDefault !== now.systemDefault && { systemDefault: now.systemDefault }),
    ...(old.uplinks !== now.uplinks && { uplinks: now.uplinks }),
    ...diffFacts(before.facts, after.facts),
    ...(before.appIds !== after.appIds && { appIds: after.appIds }),
    ...(before.programs !== after.programs && after.programs !== undefined && { programs: after.programs }),
  };
}

function diffFacts(before: Facts, after: Facts): Pick<SnapshotUpdate, 'facts' | 'names'> {
  if (before === after) return {};
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Facts>;
  keys.delete('names');
  const isSame = [...keys].every((key) => before[key] === after[key]);
  const hasSameNames =
    before.names.size === after.names.size && [...after.names.keys()].every((name) => before.names.has(name));
  if (!isSame || !hasSameNames) return { facts: after };
  return { names: new Map([...after.names].filter(([name, state]) => before.names.get(name) !== state)) };
}

function diffApps(before: PolicySet['apps'], after: PolicySet['apps']): SnapshotUpdate['apps'] {
  const changed: EffectivePolicy[] = [];
  const removed: string[] = [];
  for (const app of changedApps(before, after)) {
    const policy = findApp(after, app);
    if (policy === undefined) removed.push(app);
    else changed.push(policy);
  }
  return changed.length === 0 && removed.length === 0 ? undefined : { changed, removed };
}

/** `applyUpdate(before, diffSnapshot(before, after))` equals `after`; parts that did not change stay the same objects. */
export function applyUpdate(before: VerdictSnapshot, update: SnapshotUpdate): VerdictSnapshot {
  const { apps, systemDefault, uplinks } = update;
  const keepsSet = apps === undefined && systemDefault === undefined && uplinks === undefined;
  const policySet = keepsSet
    ? before.policySet
    : {
        apps: apps === undefined ? before.policySet.apps : changeApps(before.policySet.apps, apps),
        systemDefault: systemDefault ?? before.policySet.systemDefault,
        uplinks: uplinks ?? before.policySet.uplinks,
      };
  const { names } = update;
  const known =
    names === undefined ? before.facts : { ...before.facts, names: new Map([...before.facts.names, ...names]) };
  const { facts = known, appIds = before.appIds, programs = before.programs, revision } = update;
  return { revision, policySet, facts, appIds, ...(programs !== undefined && { programs }) };
}

function changeApps(
  before: PolicySet['apps'],
  { changed, removed }: NonNullable<SnapshotUpdate['apps']>,
): EffectivePolicy[] {
  const apps = new Map(before.map((policy) => [policy.app, policy]));
  for (const app of removed) apps.delete(app);
  for (const policy of changed) apps.set(policy.app, policy);
  return [...apps.values()].sort((a, b) => (a.app < b.app ? -1 : 1));
}
