/**
 * A new policy holds for flows that have begun, too: those it no longer permits lose their way, and the kernel refuses
 * their next packet. What only the network changed leaves them alone.
 */

import type { Conntrack } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { equalAddress, isLoopbackAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import {
  APP_DAEMON,
  APP_KERNEL,
  APP_NONE,
  APP_UNKNOWN,
  MARK_APP,
  MARK_UPLINK,
  MARK_UPLINK_SHIFT,
  MARK_WAY,
  UPLINK_FIRST,
  UPLINK_LAST,
  UPLINK_NONE,
  wayMark,
} from '../plan/reserved.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import { decideAsApp } from '../policy/decide-as-app.ts';
import type { Decision } from '../policy/decision.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import { findApp } from '../policy/sorted-apps.ts';

export interface LiveFlowsInput {
  /** Names with all addresses they had lately: a flow is not to end because its address has left the answer since. */
  readonly context: DecideContext;
  readonly appIds: ReadonlyMap<string, number>;
  /** Whose policy changed; flows of others are left alone. `everyone`: uplinks or the default changed. */
  readonly changedApps: ReadonlySet<string> | 'everyone';
  /** Flows of programs without a policy that are left alone whatever the default says: they came in from outside. */
  readonly isInbound: (flow: Flow) => boolean;
}

/** What a mark says. */
export interface MarkedFlow {
  readonly appId: number;
  readonly way: number;
}

export function readMark(mark: number): MarkedFlow {
  return { appId: mark & MARK_APP, way: (mark & MARK_UPLINK) >>> MARK_UPLINK_SHIFT };
}

/** Conntrack does not know the device: loopback is told by the addresses. */
export function flowOfEntry({ original }: Pick<ConntrackEntry, 'original'>): Flow {
  const { source, destination } = original;
  return { ...original, loopback: isLoopbackAddress(destination) || equalAddress(source, destination) };
}

/** The decision by the number in a mark; the application may have gone since. */
export function decideMarked(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  appId: number,
  flow: Flow,
): Decision {
  if (policy !== undefined) return decideAsApp(context, policy, flow);
  if (appId === APP_UNKNOWN)
    return decide(context, { kind: 'unknown', because: 'its owner was not found when it began' }, flow);
  return decide(
    context,
    { kind: 'kernel', sender: appId === APP_KERNEL ? 'kernel' : 'a program without a policy' },
    flow,
  );
}

/** `id -> policy` for the applications there are. */
export function policiesById(
  apps: readonly EffectivePolicy[],
  appIds: ReadonlyMap<string, number>,
): ReadonlyMap<number, EffectivePolicy> {
  return new Map(
    apps.flatMap((policy) => {
      const id = appIds.get(policy.app);
      return id === undefined ? [] : [[id, policy] as const];
    }),
  );
}

/** `policiesById` for the applications whose flows these are: a few of thousands. */
function policiesOf(
  entries: readonly ConntrackEntry[],
  apps: readonly EffectivePolicy[],
  appIds: ReadonlyMap<string, number>,
): ReadonlyMap<number, EffectivePolicy> {
  const seen = new Set(entries.map(({ mark }) => readMark(mark).appId));
  const policies = new Map<number, EffectivePolicy>();
  if (seen.size === 0) return policies;
  for (const [app, id] of appIds) {
    if (!seen.has(id)) continue;
    const policy = findApp(apps, app);
    if (policy !== undefined) policies.set(id, policy);
  }
  return policies;
}

/** Only the way it has, as if it were up: whether the policy permits it, whatever the network is like. */
function permitted(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  { appId, way }: MarkedFlow,
  flow: Flow,
): boolean {
  const { facts, policySet } = context;
  const isUplink = way >= UPLINK_FIRST && way <= UPLINK_LAST;
  const states = facts.uplinks
    .filter(({ id }) => isUplink && id === way)
    .map((state) => ({ ...state, deviceIndex: state.deviceIndex ?? 1, up: true, v4: true, v6: true }));
  const only: DecideContext = {
    ...context,
    facts: { ...facts, uplinks: states },
    policySet: {
      ...policySet,
      uplinks: policySet.uplinks.filter(({ name }) => states.some((state) => state.name === name)),
    },
  };
  const decision = decideMarked(only, policy, appId, flow);
  if (decision.verdict === 'queue') return true;
  if (decision.verdict !== 'accept') return false;
  // By an uplink, where the policy now takes the system's route: that flow may go on as it began.
  return decision.way.kind !== 'uplink' || decision.way.id === way;
}

/** Entries that lose their permission. Pure. */
export function endedFlows(entries: readonly ConntrackEntry[], input: LiveFlowsInput): ConntrackEntry[] {
  const { context, appIds, changedApps } = input;
  const policies = policiesOf(entries, context.policySet.apps, appIds);
  return entries.filter((entry) => {
    const marked = readMark(entry.mark);
    if (marked.way === UPLINK_NONE || marked.appId === APP_DAEMON) return false;
    const flow = flowOfEntry(entry);
    if (marked.appId === APP_NONE && input.isInbound(flow)) return false;
    const policy = policies.get(marked.appId);
    // Without a policy: one that has gone, or none ever; both follow the default.
    if (changedApps !== 'everyone' && policy !== undefined && !changedApps.has(policy.app)) return false;
    return !permitted(context, policy, marked, flow);
  });
}

/** Returns how many flows were ended. Throws KernelError. */
export function endForbiddenFlows(conntrack: Conntrack, input: LiveFlowsInput): number {
  const ended = endedFlows(conntrack.ownEntries(), input);
  for (const entry of ended) {
    try {
      conntrack.updateMark(entry, wayMark(UPLINK_NONE), MARK_WAY);
    } catch (error) {
      // Ignoring those that ended by themselves meanwhile.
      if (!(error instanceof KernelError && error.isNotFound)) throw error;
    }
  }
  return ended.length;
}
