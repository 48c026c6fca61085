/** What somebody should know of other people's routing: where it and ours get in each other's way, and what passes by it. */
import type { Routing } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { FOREIGN_MARKS } from '../plan/reserved.ts';
import { type RoutingConflict, routingConflicts } from '../watch/foreign-rules.ts';
import type { Round } from './enforce.ts';
import type { Health, Warning } from './health.ts';

const SHOWN_CONFLICTS = 3;

const HINTS: Record<RoutingConflict['kind'], string> = {
  'comes first': 'flows with a via are refused meanwhile; give that rule a preference of 600 or more',
  'mark bits': 'bits 16-23 are free for others: docs/coexistence.md says where to set them',
  'among ours': 'give that rule a preference outside of 17700-17999',
  'in our tables': 'keep out of tables 17701-17824',
};

/** After a round. Rules of others come and go with the network; how we stand to them is the same until then. */
export function reportForeignRouting(
  health: Pick<Health, 'report'>,
  { pending: { kinds } }: Pick<Round, 'pending'>,
  routing: Pick<Routing, 'rules' | 'routes'>,
): void {
  if (!kinds.has('network') && !kinds.has('start')) return;
  try {
    health.report('foreign-rule', foreignRuleWarning(routing));
    health.report('foreign-mark', foreignMarkWarning(routing));
  } catch (error) {
    // Ignoring it: what is known of them stays, and the next change of the network is looked at again.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** `undefined`: they do not. Throws KernelError. */
function foreignRuleWarning(routing: Pick<Routing, 'rules' | 'routes'>): Warning | undefined {
  const conflicts = routingConflicts(routing);
  const [first] = conflicts;
  if (first === undefined) return undefined;
  const shown = conflicts.slice(0, SHOWN_CONFLICTS).map(({ text }) => text);
  const more = conflicts.length > SHOWN_CONFLICTS ? `; and ${conflicts.length - SHOWN_CONFLICTS} more` : '';
  return { message: `${shown.join('; ')}${more}`, hint: HINTS[first.kind] };
}

/** Somebody routes by a mark that our rules let pass untouched. Throws KernelError. */
function foreignMarkWarning(routing: Pick<Routing, 'rules'>): Warning | undefined {
  const marks = new Set(routing.rules().map(({ fwmark }) => fwmark));
  const owners = FOREIGN_MARKS.filter(({ mark }) => marks.has(mark)).map(({ owner }) => owner);
  if (owners.length === 0) return undefined;
  const message = `packets that ${owners.join(' and ')} has marked pass without a decision`;
  return { message, hint: 'they have been routed already; docs/security.md says what that means' };
}
