/** Which live connections are to leave their uplink, by their policy's `existing`: desired is what would be decided now. */
import type { Flow } from '../net/flow.ts';
import { isUplink } from '../plan/flow-mark.ts';
import type { DecideContext } from '../policy/decide.ts';
import { decideAsApp } from '../policy/decide-as-app.ts';
import type { Decision, Way } from '../policy/decision.ts';
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

function works({ uplinks }: Facts, { way, flow }: LiveFlow): boolean {
  const state = uplinks.find((uplink) => uplink.id === way);
  if (state === undefined || !state.up || state.deviceIndex === undefined) return false;
  const [carries, health] = flow.destination.family === 4 ? [state.v4, state.health?.v4] : [state.v6, state.health?.v6];
  return carries && health?.state !== 'failed';
}

export interface LiveFlow {
  readonly flow: Flow;
  /** The uplink that it is on. */
  readonly way: number;
  /** What it has for its address is nobody's any more: no answer finds it. */
  readonly hasLostAddress: boolean;
}

/** Only for flows that their policy permits on their uplink. */
export function isToMove(context: DecideContext, policy: EffectivePolicy, live: LiveFlow): boolean {
  const moves = movesFor(policy);
  if (moves === 'keep' || !isUplink(live.way)) return false;
  const isWorking = works(context.facts, live) && !live.hasLostAddress;
  if (moves === 'drain' && isWorking) return false;
  return isElsewhere(decideAsApp(context, policy, live.flow), live, isWorking);
}

function isElsewhere(decision: Decision, live: LiveFlow, isWorking: boolean): boolean {
  switch (decision.verdict) {
    case 'accept':
      return isOtherWay(decision.way, live, isWorking);
    case 'reject':
    case 'drop':
      return true;
    case 'queue':
      return false;
  }
}

function isOtherWay(chosen: Way, { way, hasLostAddress }: LiveFlow, isWorking: boolean): boolean {
  switch (chosen.kind) {
    case 'uplink':
      // On the same one it begins anew with another address.
      return chosen.id !== way || hasLostAddress;
    // No uplink that would be better.
    case 'system':
    case 'local':
    case 'inbound':
      return !isWorking;
  }
}
