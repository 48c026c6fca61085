import type { Finding } from './judge-run.ts';
import { describeEvent, describeRow, type Schedule } from './schedule.ts';

/** For people: what, of whom, and what had happened just before. */
export function describeFinding({ rows, steps }: Schedule, finding: Finding): string {
  const { kind, row, era, policy, how, count, event, msAfterEvent, isAway } = finding;
  const whom = rows[row];
  const step = event === undefined ? undefined : steps[event];
  const after =
    step === undefined ? 'before all events' : `${msAfterEvent} ms after event ${event} (${describeEvent(step.event)})`;
  const what = kind === 'astray' ? `${count} packets astray by ${how}` : `${count} ${kind} (${how})`;
  const as = era === 0 ? '' : `, now ${policy}`;
  return `${what}, from ${after}${isAway ? ', no daemon answers' : ''}: ${whom === undefined ? '' : describeRow(whom, row)}${as}`;
}
