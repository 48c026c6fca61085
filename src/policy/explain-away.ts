/** What becomes of a connection that a daemon would hold, while none runs: nothing is held then. Pure. */
import type { ExplainedFlow, Explanation } from './explain.ts';
import type { SystemDefault } from './model.ts';

export function explainAway(explanation: Explanation, { whenAway }: Pick<SystemDefault, 'whenAway'>): Explanation {
  return { ...explanation, flows: explanation.flows.map((flow) => flowAway(flow, whenAway)) };
}

function flowAway(flow: ExplainedFlow, whenAway: SystemDefault['whenAway']): ExplainedFlow {
  const { heldFor, ...told } = flow;
  if (heldFor === undefined) return flow;
  // It waits under `whenAway: closed` alone.
  if (heldFor === 'uplink')
    return { ...told, verdict: 'reject', reason: `${flow.reason}; no daemon runs, and so nothing waits` };
  const otherwise = whenAway === 'open' ? 'let through' : 'refused';
  const reason = `${flow.reason}; no daemon runs: addresses that were learned before are as the rule says, all else is ${otherwise} (whenAway: ${whenAway})`;
  return { ...told, verdict: 'untold', reason };
}
