/** Which live connections are to leave their uplink, by their policy's `existing`: desired is what would be decided now. */
import type { Family } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { UPLINK_FIRST, UPLINK_LAST } from '../plan/reserved.ts';
import type { DecideContext } from '../policy/decide.ts';
import { decideAsApp } from '../policy/decide-as-app.ts';
import type { Decision } from '../policy/decision.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { Existing } from '../policy/model.ts';

/** `keep` says that nothing of it ever has to be looked at. `long`: another one being better is no reason. */
function movesFor({ existing, duration }: EffectivePolicy): Existing {
  if (existing === undefined) return 'keep';
  return existing.value === 'abort' && duration?.value === 'long' ? 'drain' : existing.value;
}

export function movesAny({ apps }: PolicySet): boolean {
  return apps.some((policy) => movesFor(policy) !== 'keep');
}

function works({ uplinks }: Facts, id: number, family: Family): boolean {
  const state = uplinks.find((uplink) => uplink.id === id);
  if (state === undefined || !state.up || state.deviceIndex === undefined) return false;
  const [carries, health] = family === 4 ? [state.v4, state.health?.v4] : [state.v6, state.health?.v6];
  return carries && health?.state !== 'failed';
}

/** `way`: the uplink that the flow is on. Only for flows that their policy permits there. */
export function isToMove(context: DecideContext, policy: EffectivePolicy, way: number, flow: Flow): boolean {
  const moves = movesFor(policy);
  if (moves === 'keep' || way < UPLINK_FIRST || way > UPLINK_LAST) return false;
  const isWorking = works(context.facts, way, flow.destination.family);
  if (moves === 'drain' && isWorking) return false;
  return isElsewhere(decideAsApp(context, policy, flow), way, isWorking);
}

function isElsewhere(decision: Decision, way: number, isWorking: boolean): boolean {
  switch (decision.verdict) {
    case 'accept':
      // The system's route is no uplink that would be better.
      return decision.way.kind === 'uplink' ? decision.way.id !== way : !isWorking;
    case 'reject':
    case 'drop':
      return true;
    case 'queue':
      return false;
  }
}
