/** Paths of policies and of the machine that could not be looked at in time, as a warning. Pure. */
import type { LatePlace } from '../kernel/file-looks.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Warning } from './health.ts';

/** Places and entries of policies that are named. */
const MAX_NAMED = 3;

/** `isLate`: whether a path is one of those. `undefined` where everything answers. */
export function slowLooks(
  late: readonly LatePlace[],
  isLate: (path: string) => boolean,
  policySet: PolicySet | undefined,
): Warning | undefined {
  if (late.length === 0) return undefined;
  const entries = (policySet?.apps ?? []).flatMap(({ match }) =>
    match.filter(({ kind, value }) => (kind === 'exec' || kind === 'script') && isLate(value)),
  );
  const named = entries.slice(0, MAX_NAMED).map(({ value, at }) => `${at.file}:${at.line}:${at.column} names ${value}`);
  const more = entries.length > MAX_NAMED ? `, and ${entries.length - MAX_NAMED} more entries` : '';
  const places = late.slice(0, MAX_NAMED).map(({ place }) => place);
  const concerned = entries.length === 0 ? '' : `; ${named.join(', ')}${more}`;
  return {
    message: `${places.join(', ')} ${late.length === 1 ? 'does' : 'do'} not answer${concerned}`,
    hint: 'what cannot be looked at counts as not there until it answers: see mount(8)',
  };
}
