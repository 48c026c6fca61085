/**
 * A new policy holds for flows that have begun, too: those it no longer permits lose their way, and the kernel refuses
 * their next packet. What only the network changed leaves them alone, unless their policy's `existing` says otherwise.
 */

import type { Conntrack } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { equalAddress, formatAddress, isLoopbackAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_SCTP, IPPROTO_TCP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { type FlowMark, isUplink, readMark } from '../plan/flow-mark.ts';
import {
  APP_DAEMON,
  APP_INBOUND,
  APP_KERNEL,
  APP_LAST,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  MARK_WAY,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
  wayMark,
} from '../plan/reserved.ts';
import { type DecideContext, decide, decideUnnamed } from '../policy/decide.ts';
import { decideAsApp } from '../policy/decide-as-app.ts';
import type { Decision, Way } from '../policy/decision.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { keepOutOfOwnTunnel } from '../policy/own-tunnel.ts';
import { findApp } from '../policy/sorted-apps.ts';
import { isToMove } from './change-over.ts';
import { type ChangedPolicies, notHeld } from './changed-policies.ts';

export interface LiveFlowsInput {
  /** Names with all addresses they had lately: a flow is not to end because its address has left the answer since. */
  readonly context: DecideContext;
  readonly appIds: ReadonlyMap<string, number>;
  readonly changed: ChangedPolicies;
  /** What the mark of a flow of datagrams said before it was refused, where that is known. */
  readonly refusedMark?: (entry: ConntrackEntry) => FlowMark | undefined;
}

/** Conntrack does not know the device: loopback is told by the addresses. `marked`: where another mark than its own tells of it. */
export function flowOfEntry(
  { original, mark }: Pick<ConntrackEntry, 'original' | 'mark'>,
  { way }: Pick<FlowMark, 'way'> = readMark(mark),
): Flow {
  const { source, destination } = original;
  const loopback = isLoopbackAddress(destination) || equalAddress(source, destination);
  return { ...original, loopback, ...(way === UPLINK_INBOUND && { inbound: true }) };
}

/** Whoever opens it is told from whoever goes on with it. A datagram may be the first one or the last. */
export const isConnection = ({ protocol }: Pick<Flow, 'protocol'>): boolean =>
  protocol === IPPROTO_TCP || protocol === IPPROTO_SCTP;

/** Who serves the namespace is not in the mark: root can serve anybody. */
const ANY_SERVER: ProcessOwner = { kind: 'process', pid: 0, uid: 0, executable: 'passt', executableUnproven: true };

/** The decision by the number in a mark; the application may have gone since. Of who carries a tunnel the socket tells. */
export function decideMarked(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  appId: number,
  flow: Flow,
): Decision {
  const { facts, policySet } = context;
  const owner = { kind: 'unknown', because: 'a mark names no process' } as const;
  const decision = decideByNumber(context, policy, appId, flow);
  return keepOutOfOwnTunnel(decision, { facts, owner, flow, systemDefault: policySet.systemDefault });
}

function decideByNumber(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  appId: number,
  flow: Flow,
): Decision {
  if (appId === APP_INBOUND) return { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'inbound' } };
  if (policy !== undefined) return decideAsApp(context, policy, flow);
  if (appId === APP_SERVED) return decide(context, ANY_SERVER, flow);
  if (appId === APP_UNKNOWN)
    return decide(context, { kind: 'unknown', because: 'its owner was not found when it began' }, flow);
  return appId === APP_KERNEL ? decide(context, { kind: 'kernel' }, flow) : decideUnnamed(context, flow);
}

/** `id -> policy` for the applications with these numbers: a few of thousands. */
export function policiesOf(
  ids: Iterable<number>,
  apps: readonly EffectivePolicy[],
  appIds: ReadonlyMap<string, number>,
): ReadonlyMap<number, EffectivePolicy> {
  const seen = new Set(ids);
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
export function isPermitted(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  { appId, way }: FlowMark,
  flow: Flow,
): boolean {
  const now = decideMarked(context, policy, appId, flow);
  // The system's route is what it has because it may not have that uplink.
  if (now.verdict === 'accept' && now.reason.kind === 'tunnel') return true;
  const { facts, policySet } = context;
  const states = facts.uplinks
    .filter(({ id }) => isUplink(way) && id === way)
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
  switch (decision.verdict) {
    case 'queue':
      return true;
    case 'reject':
    case 'drop':
      return false;
    case 'accept':
      return mayGoBy(decision.way, way);
  }
}

function mayGoBy(chosen: Way, way: number): boolean {
  switch (chosen.kind) {
    case 'uplink':
      return chosen.id === way;
    // By an uplink, where the policy now takes the system's route: that flow may go on as it began.
    case 'system':
    case 'local':
    case 'inbound':
      return true;
  }
}

/** What is to become of live flows. */
export interface Swept {
  /** They lose their permission. */
  readonly ended: readonly ConntrackEntry[];
  /** Whose they are is no longer certain: the next packet tells. */
  readonly asked: readonly ConntrackEntry[];
  /** They are to begin anew, by another uplink. */
  readonly moved: readonly ConntrackEntry[];
  /** Datagrams that were refused and are permitted again: conntrack is to forget them. */
  readonly permitted: readonly ConntrackEntry[];
}

/**
 * An owner that the mark does not name, or that may be another one now. By an uplink a flow has an application, which goes on
 * answering for it: to decide such a flow anew would take it to another uplink in mid-connection.
 */
function isInQuestion(
  { appId, way }: FlowMark,
  policy: EffectivePolicy | undefined,
  changed: ChangedPolicies,
): boolean {
  if (way !== UPLINK_SYSTEM && way !== UPLINK_LOCAL) return false;
  const { rematched, isStart } = changed;
  // Any policy may be about what is behind it.
  if (appId === APP_SERVED) return isStart || isConcerned(undefined, changed);
  if (!isStart && rematched.size === 0) return false;
  if (appId === APP_NONE || appId === APP_UNKNOWN) return true;
  return appId <= APP_LAST && (policy === undefined || rematched.has(policy.app));
}

/** Pure. A connection that came in was let in when it began, and goes on: the session in which somebody narrows `accept` is one. */
export function sweepFlows(entries: readonly ConntrackEntry[], input: LiveFlowsInput): Swept {
  const { context, appIds, changed, refusedMark = () => undefined } = input;
  const ids = entries.map(({ mark }) => readMark(mark).appId);
  const policies = policiesOf(ids, context.policySet.apps, appIds);
  const ended: ConntrackEntry[] = [];
  const asked: ConntrackEntry[] = [];
  const moved: ConntrackEntry[] = [];
  const permitted: ConntrackEntry[] = [];
  const lost = notHeld(changed.lostAddresses, context.facts);
  // Its source as the network sees it.
  const hasLost = ({ reply }: ConntrackEntry): boolean =>
    lost.length > 0 && lost.includes(formatAddress(reply.destination));
  for (const entry of entries) {
    const marked = readMark(entry.mark);
    if (marked.appId === APP_DAEMON || marked.appId === APP_INBOUND) continue;
    const policy = policies.get(marked.appId);
    if (marked.way === UPLINK_NONE) {
      const before = refusedMark(entry);
      if (before === undefined || !isConcerned(policy, changed)) continue;
      const decision = decideMarked(context, policy, before.appId, flowOfEntry(entry, before));
      if (decision.verdict === 'accept') permitted.push(entry);
      continue;
    }
    const flow = flowOfEntry(entry);
    if (marked.way === UPLINK_INBOUND && isConnection(entry.original)) continue;
    if (isInQuestion(marked, policy, changed)) asked.push(entry);
    else if (isConcerned(policy, changed) && !isPermitted(context, policy, marked, flow)) ended.push(entry);
    else if (
      policy !== undefined &&
      isToMove(context, policy, { flow, way: marked.way, hasLostAddress: hasLost(entry) })
    )
      moved.push(entry);
  }
  return { ended, asked, moved, permitted };
}

/** Without a policy: one that has gone, or none ever; both follow the default. */
function isConcerned(policy: EffectivePolicy | undefined, { apps }: ChangedPolicies): boolean {
  if (apps === 'everyone') return true;
  return apps.size > 0 && (policy === undefined || apps.has(policy.app));
}

/** `mark = mark & ~mask | value`, where the flow has not ended by itself meanwhile. Throws KernelError. */
export function remark(conntrack: Conntrack, entry: ConntrackEntry, value: number, mask: number): void {
  try {
    conntrack.updateMark(entry, value, mask);
  } catch (error) {
    if (!(error instanceof KernelError && error.isNotFound)) throw error;
  }
}

/** The kernel refuses its further packets. Throws KernelError. */
export function endFlow(conntrack: Conntrack, entry: ConntrackEntry): void {
  remark(conntrack, entry, wayMark(UPLINK_NONE), MARK_WAY);
}

/** Its next datagram is decided as the first one. Throws KernelError. */
export function forgetFlow(conntrack: Conntrack, entry: ConntrackEntry): void {
  try {
    conntrack.deleteEntry(entry);
  } catch (error) {
    // It may have ended by itself meanwhile.
    if (!(error instanceof KernelError && error.isNotFound)) throw error;
  }
}
