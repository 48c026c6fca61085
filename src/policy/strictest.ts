/** Of decisions that may each be the right one, the one that breaks no policy. Pure. */
import type { Accepted, Decision } from './decision.ts';

const STRICTNESS = { accept: 0, queue: 1, reject: 2, drop: 3 } as const;

/**
 * drop > reject > queue > accept; among equals the first. Where all accept, an uplink or a local way wins over the system's
 * route, which asks for nothing; two uplinks exclude each other, so that the flow is refused for lack of one.
 */
export function strictest(decisions: readonly Decision[]): Decision | undefined {
  const most = Math.max(...decisions.map(({ verdict }) => STRICTNESS[verdict]));
  const [first, ...others] = decisions.filter(({ verdict }) => STRICTNESS[verdict] === most);
  return first === undefined ? undefined : others.reduce(common, first);
}

/** Of two that are equally strict. */
function common(a: Decision, b: Decision): Decision {
  if (a.verdict !== 'accept' || b.verdict !== 'accept') return a;
  if (b.way.kind === 'system' || isSameWay(a, b)) return a;
  if (a.way.kind === 'system') return b;
  const { way: _, verdict: __, ...head } = a;
  return { ...head, verdict: 'reject', cause: 'no-uplink' };
}

function isSameWay({ way: a }: Accepted, { way: b }: Accepted): boolean {
  return a.kind === b.kind && (a.kind !== 'uplink' || b.kind !== 'uplink' || a.id === b.id);
}
