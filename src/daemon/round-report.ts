/** What a round means for people: event, health, log line. Pure but for the health it reports to. */

import type { ChangeEvent } from '../api/event.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { WallMs } from '../net/clock.ts';
import type { Round } from './enforce.ts';
import type { Health } from './health.ts';
import type { RepairPace } from './repair-pace.ts';

/**
 * Whether the kernel did not hold what was in force. Routes and rules tell that only where the plan is the same as before: the
 * kernel itself takes them away with their device.
 */
export function isRepair({ isNewPlan, outcome, pending }: Round): boolean {
  if (!outcome.ok || outcome.changes === 0 || outcome.isPrecaution || pending.kinds.has('retry')) return false;
  return !isNewPlan || outcome.tableWasForeign;
}

/** Whether what the kernel had just accepted was gone when it was read back: somebody deletes faster than we look. */
export function wasUndone({ outcome }: Round): boolean {
  return !outcome.ok && outcome.error instanceof KernelError && outcome.error.operation === 'read back';
}

/** `undefined` where nothing happened that anyone would want to see. */
export function changeEvent(round: Round, revision: number, timeMs: WallMs): ChangeEvent | undefined {
  const { outcome, because, endedFlows, movedFlows, isNewPlan, pending } = round;
  if (!outcome.ok) {
    const error = outcome.error.message;
    return { kind: 'change', timeMs, revision, because, changes: 0, durationMs: outcome.durationMs, error };
  }
  // What is measured of uplinks changes all the time, and is seldom news for the kernel.
  const isNews = isNewPlan && !(pending.kinds.size === 1 && pending.kinds.has('network'));
  if (outcome.changes === 0 && !isNews && endedFlows + movedFlows === 0) return undefined;
  const repaired = isRepair(round) ? ': repaired' : '';
  const ended = endedFlows === 0 ? '' : `; ${endedFlows} flows lost their permission`;
  const moved = movedFlows === 0 ? '' : `; ${movedFlows} connections ended to change over`;
  return {
    kind: 'change',
    timeMs,
    revision,
    because: `${because}${changedByFiles(round)}${repaired}${ended}${moved}`,
    changes: outcome.changes,
    durationMs: outcome.durationMs,
  };
}

/** Applications that are named; the rest is counted. */
const MAX_NAMED = 5;

/** Whose policies files have changed, and whose are gone: whoever moves files away is to see what no longer holds. */
function changedByFiles({ pending, changedApps, loaded }: Round): string {
  if (!pending.kinds.has('files')) return '';
  const present = new Set(loaded.policySet.apps.map(({ app }) => app));
  const gone = changedApps.filter((app) => !present.has(app));
  const changed = changedApps.filter((app) => present.has(app));
  const parts = [
    ...(changed.length === 0 ? [] : [namesOf(changed)]),
    ...(gone.length === 0 ? [] : [`no policy any more: ${namesOf(gone)}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function namesOf(apps: readonly string[]): string {
  const more = apps.length > MAX_NAMED ? ` and ${apps.length - MAX_NAMED} more` : '';
  return `${apps.slice(0, MAX_NAMED).join(', ')}${more}`;
}

export function reportHealth(health: Health, round: Round, pace: RepairPace): void {
  const { outcome, pending } = round;
  if (!outcome.ok) {
    const state = outcome.restored ? 'what was in force before is in force' : 'what is in force is not certain';
    // Anything but a refusal of the kernel is our own mistake.
    health.set(outcome.error instanceof KernelError ? 'apply-failed' : 'internal-error', {
      message: `the policies could not be put into the kernel: ${outcome.error.message}; ${state}`,
      hint: 'it is tried again by itself; pointsman plan --diff shows what is missing',
    });
    return;
  }
  health.clear('apply-failed');
  health.clear('internal-error');
  if (!isRepair(round)) return;
  // Of routes and rules nobody knows who removed them: the kernel itself does so when a device goes.
  const what =
    pending.foreignBy === undefined
      ? 'routes, rules or tables of pointsman were gone'
      : `${pending.foreignBy} changed what belongs to pointsman`;
  const times = pace.repairs > 1 ? `, ${pace.repairs} times lately` : '';
  health.set('foreign-change', {
    message: `${what}; it was repaired${times}`,
    hint: 'until the repair, undecided and new flows may have passed: see docs/security.md',
  });
}
