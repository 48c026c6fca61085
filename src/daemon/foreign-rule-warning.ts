/** What somebody should know of other people's routing: only where it and ours get in each other's way. */
import type { Routing } from '../kernel/kernel.ts';
import { type RoutingConflict, routingConflicts } from '../watch/foreign-rules.ts';
import type { Round } from './enforce.ts';
import type { Warning } from './health.ts';

const SHOWN_CONFLICTS = 3;

const HINTS: Record<RoutingConflict['kind'], string> = {
  'comes first': 'flows with a via are refused meanwhile; give that rule a preference of 600 or more',
  'mark bits': 'bits 16-23 are free for others: docs/coexistence.md says where to set them',
  'among ours': 'give that rule a preference outside of 17700-17999',
  'in our tables': 'keep out of tables 17701-17824',
};

/** Rules of others come and go with the network; how we stand to them is the same until then. */
export function looksAtRouting({ pending: { kinds } }: Round): boolean {
  return kinds.has('network') || kinds.has('start');
}

/** `undefined`: they do not. Throws KernelError. */
export function foreignRuleWarning(routing: Pick<Routing, 'rules' | 'routes'>): Warning | undefined {
  const conflicts = routingConflicts(routing);
  const [first] = conflicts;
  if (first === undefined) return undefined;
  const shown = conflicts.slice(0, SHOWN_CONFLICTS).map(({ text }) => text);
  const more = conflicts.length > SHOWN_CONFLICTS ? `; and ${conflicts.length - SHOWN_CONFLICTS} more` : '';
  return { message: `${shown.join('; ')}${more}`, hint: HINTS[first.kind] };
}
