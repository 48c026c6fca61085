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
    ...(before.facts !== after.facts && { facts: after.facts }),
    ...(before.appIds !== after.appIds && { appIds: after.appIds }),
    ...(before.programs !== after.programs && after.programs !== undefined && { programs: after.programs }),
  };
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
  const { facts = before.facts, appIds = before.appIds, programs = before.programs, revision } = update;
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
