/**
 * The one meaning of a policy: what happens to a flow of an owner. The kernel's plan, the verdict loop, `explain` and the
 * tests all answer to this function. The deciders are tried in the order in which they are listed.
 */
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { chooseForQueries } from './choose-for-queries.ts';
import { chooseUplink, waysOut } from './choose-uplink.ts';
import { asChosen } from './chosen-device.ts';
import type { Decision, Reason, UplinkChoice } from './decision.ts';
import { isQuery, queryVia } from './dns-query.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import { forwardedPolicies } from './forwarded-policy.ts';
import { housekeeping } from './housekeeping.ts';
import type { ContainerOwner, KernelOwner, ProcessOwner, Sender, SingleOwner } from './identity.ts';
import { type RuleInForce, rulesInForce } from './implied-rule.ts';
import { kernelSender } from './kernel-senders.ts';
import { isLocalFor } from './local-networks.ts';
import {
  type AppIndex,
  type AppMatch,
  claimsExecutable,
  matchApp,
  matchKernel,
  matchProgram,
  type Traits,
} from './match-app.ts';
import { matchDestination, namesLoopback } from './match-destination.ts';
import { matchEntry } from './match-entry.ts';
import { mayBelongTo } from './may-be.ts';
import {
  BUILT_IN,
  type Destination,
  type SourceLocation,
  type SystemDefault,
  type UserModeNetworking,
  type Verb,
  type Via,
  type Word,
} from './model.ts';
import { keepOutOfOwnTunnel } from './own-tunnel.ts';
import { MAX_POLICIES_BEHIND, policiesBehind } from './policies-behind.ts';
import { shareSlot } from './share-slot.ts';
import { strictest } from './strictest.ts';
import { isTunnelPacket } from './tunnel-packets.ts';
import { isUserModeNetwork } from './user-mode-networks.ts';

export interface DecideContext {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly facts: Facts;
  readonly nowMs: MonotonicMs;
  /** `queue`: wait for the name's addresses. `no-match`: waiting is over, the entry does not match. */
  readonly unknownNames: 'queue' | 'no-match';
  /** `queue`: wait for an uplink where `else: wait` says so. Absent: nobody waits, or waiting is over. */
  readonly missingUplink?: 'queue';
}

function ruleReason({ rule, index }: RuleInForce, { text: entry, at }: Destination): Reason {
  const { layer, place } = rule;
  if (index === 'implied') return { kind: 'implied', layer, entry, at };
  return { kind: 'rule', index: place ?? index, entry, layer, at };
}

/** What a rule list says; `undefined` where nothing matches. */
function firstMatch(
  context: DecideContext,
  policy: EffectivePolicy,
  flow: Flow,
  rules: readonly RuleInForce[],
): Decision | undefined {
  for (const inForce of rules) {
    const { rule } = inForce;
    let unknown: Decision | undefined;
    for (const entry of rule.to) {
      if (flow.loopback && !namesLoopback(entry)) continue;
      const matches = matchEntry(context.facts, rule.do, entry, flow, context.nowMs);
      if (matches === 'yes') {
        return perform(context, rule.do, rule.via ?? policy.via?.value, flow, ruleReason(inForce, entry), policy.app);
      }
      if (matches === 'unknown' && entry.target.kind === 'name') {
        unknown ??= {
          verdict: 'queue',
          app: policy.app,
          reason: { kind: 'name-not-known', name: entry.target.name, at: entry.at },
        };
      }
    }
    if (unknown !== undefined && context.unknownNames === 'queue') return unknown;
  }
  return undefined;
}

/** Where nobody answers, `whenAway: open` lets queued packets pass: there is no waiting that could not leak. */
function waits({ missingUplink, policySet }: DecideContext, via: Via): boolean {
  return missingUplink === 'queue' && mayWait(via, policySet.systemDefault);
}

export function mayWait(via: Via, { whenAway }: SystemDefault): boolean {
  return via.else === 'wait' && whenAway === 'closed';
}

/** A verb and the way it takes. Local and loopback destinations need no uplink, unless the `via` says that local ones do. */
function perform(
  context: DecideContext,
  verb: Verb,
  via: Via | undefined,
  flow: Flow,
  reason: Reason,
  app?: string,
): Decision {
  const head = { reason, ...(app === undefined ? {} : { app }) };
  switch (verb) {
    case 'drop':
      return { ...head, verdict: 'drop' };
    case 'deny':
      return { ...head, verdict: 'reject', cause: 'denied' };
    case 'allow':
      return permit(context, via, flow, head);
  }
}

type Head = Pick<Decision, 'reason' | 'app'>;

function permit(context: DecideContext, via: Via | undefined, flow: Flow, head: Head): Decision {
  const { reason, app } = head;
  if (flow.loopback) return { ...head, verdict: 'accept', way: { kind: 'local' } };
  if (via === undefined) return { ...head, verdict: 'accept', way: { kind: 'system' } };
  if (isLocalFor(via, context.facts, flow.destination) && !isQuery(context.facts, flow)) {
    switch (via.local) {
      case undefined:
        return asChosen({ ...head, verdict: 'accept', way: { kind: 'local' } }, flow, context.facts);
      case 'block': {
        const choice: UplinkChoice = { via: via.at, way: { kind: 'none' }, considered: [] };
        return { ...head, choice, verdict: 'reject', cause: 'local-blocked' };
      }
      case 'via':
        break;
    }
  }
  const slot = via.share === undefined ? undefined : shareSlot(via.share, flow, app ?? '');
  const choice = chooseUplink(via, flow.destination.family, waysOut(context.policySet, context.facts), slot);
  if (choice.way.kind === 'none' && waits(context, via))
    return { ...head, choice, verdict: 'queue', reason: { kind: 'no-uplink-yet', instead: reason, at: via.at } };
  if (choice.way.kind === 'none') return { ...head, choice, verdict: 'reject', cause: 'no-uplink' };
  return asChosen({ ...head, choice, verdict: 'accept', way: choice.way }, flow, context.facts);
}

/**
 * What no rule speaks of passes on loopback. A resolver there asks others by the way of its own, so queries to it take that of
 * the program. Whether an uplink has IPv4 or IPv6 does not matter to whoever asks.
 */
function passLoopback(
  context: DecideContext,
  policy: EffectivePolicy | undefined,
  flow: Flow,
  reason: Reason,
): Decision {
  const head = { reason, ...(policy === undefined ? {} : { app: policy.app }) };
  const pass: Decision = { ...head, verdict: 'accept', way: { kind: 'local' } };
  const { policySet, facts } = context;
  const via = isQuery(facts, flow) ? queryVia(policy, policySet.systemDefault) : undefined;
  if (via === undefined) return pass;
  const choice = chooseForQueries(via, waysOut(policySet, facts));
  if (choice.way.kind === 'none') return { ...head, choice, verdict: 'reject', cause: 'no-uplink' };
  return choice.way.kind === 'uplink' ? { ...head, choice, verdict: 'accept', way: choice.way } : { ...pass, choice };
}

/** What programs can receive. What the kernel itself answers, such as a ping, is not for `accept` to say. */
const isAcceptable = ({ protocol, loopback, midstream }: Flow): boolean =>
  !loopback && !midstream && [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP].includes(protocol);

/** Somebody connects to a program: its `accept` decides, or the system default's. */
function decideInbound(context: DecideContext, policy: EffectivePolicy | undefined, flow: Flow): Decision {
  const head = policy === undefined ? {} : { app: policy.app };
  const pass = (reason: Reason): Decision => ({
    ...head,
    verdict: 'accept',
    way: { kind: flow.loopback ? 'local' : 'inbound' },
    reason,
  });
  if (!isAcceptable(flow)) return pass({ kind: flow.loopback ? 'loopback' : 'accept-all' });
  if (policy?.blocked !== undefined) {
    const { because } = policy.blocked;
    return { ...head, verdict: 'reject', cause: 'denied', reason: { kind: 'blocked-app', because } };
  }
  const stated = policy?.accept;
  const accept = stated?.value ?? context.policySet.systemDefault.accept;
  if (accept === undefined) return pass({ kind: 'accept-all' });
  const layer = stated && { layer: stated.layer };
  // An entry names the peer and our port.
  const seen: Flow = { ...flow, destination: flow.source };
  for (const entry of accept.from) {
    if (matchDestination(context.facts, 'allow', entry, seen, context.nowMs) !== 'yes') continue;
    return pass({ kind: 'accept', entry: entry.text, ...layer, at: entry.at });
  }
  const reason: Reason = { kind: 'not-accepted', ...layer, at: accept.at };
  return { ...head, verdict: 'reject', cause: 'denied', reason };
}

function decideForApp(context: DecideContext, policy: EffectivePolicy, flow: Flow): Decision {
  const { app } = policy;
  if (flow.inbound) return decideInbound(context, policy, flow);
  if (flow.loopback) {
    const about = rulesInForce(policy, []).filter(({ rule }) => rule.to.some(namesLoopback));
    const stated = firstMatch(context, policy, flow, about);
    if (stated !== undefined && stated.verdict !== 'accept') return stated;
    return passLoopback(context, policy, flow, stated?.reason ?? { kind: 'loopback' });
  }
  if (policy.blocked !== undefined) {
    return {
      verdict: 'reject',
      cause: 'denied',
      app,
      reason: { kind: 'blocked-app', because: policy.blocked.because },
    };
  }
  const matched = firstMatch(context, policy, flow, rulesInForce(policy, context.facts.resolvers));
  if (matched !== undefined) return matched;
  const stated = policy.otherwise;
  if (stated !== undefined) {
    const reason: Reason = { kind: 'otherwise', layer: stated.layer, at: stated.value.at };
    return perform(context, stated.value.do, policy.via?.value, flow, reason, app);
  }
  const { otherwise, via } = context.policySet.systemDefault;
  return perform(
    context,
    otherwise.do,
    policy.via?.value ?? via,
    flow,
    { kind: 'system-default', at: otherwise.at },
    app,
  );
}

/** A program without a policy, or a sender that is not a program. */
function decideByDefault(context: DecideContext, flow: Flow): Decision {
  if (flow.inbound) return decideInbound(context, undefined, flow);
  if (flow.loopback) return passLoopback(context, undefined, flow, { kind: 'loopback' });
  const { otherwise, via } = context.policySet.systemDefault;
  return perform(context, otherwise.do, via, flow, { kind: 'system-default', at: otherwise.at });
}

/** Its executable is not known, but policies for its cgroup and its user hold for whatever program it is. */
function decideForUnknown(context: DecideContext, traits: Traits, because: string, flow: Flow): Decision {
  const found = matchApp(context.index, traits, context.facts);
  if (found !== undefined) return decideForApp(context, found.policy, flow);
  if (flow.inbound) return decideInbound(context, undefined, flow);
  if (flow.loopback) return passLoopback(context, undefined, flow, { kind: 'loopback' });
  const { unknown, via } = context.policySet.systemDefault;
  return perform(context, unknown.do, via, flow, { kind: 'unknown-owner', because, at: unknown.at });
}

function decideForProcess(context: DecideContext, owner: ProcessOwner, flow: Flow): Decision {
  // Found in mid-stream, a connection that came in looks as if it went out: a session that installs us must survive it.
  if (owner.accepted) return { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'inbound' } };
  const found = matchApp(context.index, owner, context.facts);
  if (servesNamespace(owner, found)) return decideForServed(context, owner, flow, found);
  if (claimsExecutable(context.index, owner)) {
    const because = `its executable is not the file ${owner.executable} of this machine`;
    return decideForUnknown(context, owner, because, flow);
  }
  return found === undefined ? decideByDefault(context, flow) : decideForApp(context, found.policy, flow);
}

/** Whether it is decided for what it serves: where a policy names the program itself, that holds. */
export function servesNamespace({ executable }: ProcessOwner, found: AppMatch | undefined): boolean {
  const isStated = found?.match.kind === 'exec' || found?.match.kind === 'script';
  return executable !== undefined && isUserModeNetwork(executable) && !isStated;
}

/** Flows of whatever is in a network namespace that the owner serves. */
function decideForServed(
  context: DecideContext,
  owner: ProcessOwner,
  flow: Flow,
  found: AppMatch | undefined,
): Decision {
  const { policySet, index, facts } = context;
  const own = found === undefined ? decideByDefault(context, flow) : decideForApp(context, found.policy, flow);
  const { word, at } = policySet.systemDefault.userModeNetworking ?? STRICTEST;
  const isAbout = !flow.loopback && !flow.inbound;
  switch (word) {
    case 'default':
      return own;
    case 'deny':
      return isAbout ? refuseServed('the system default says deny', at) : own;
    case 'strictest': {
      const behind = policiesBehind(index, owner, facts);
      if (behind.length > MAX_POLICIES_BEHIND)
        return refuseServed(`more than ${MAX_POLICIES_BEHIND} policies may be about what is behind it`, at);
      const decisions = behind.map((policy) => decideForApp(context, policy, flow));
      return asServed(strictest([own, ...decisions]) ?? own);
    }
  }
}

const STRICTEST: Word<UserModeNetworking> = { word: 'strictest', at: BUILT_IN };

function refuseServed(because: string, at: SourceLocation): Decision {
  return { verdict: 'reject', cause: 'denied', reason: { kind: 'user-mode-refused', because, at } };
}

/** Nothing says that it is the application's own. What waits, and what passes whosever it is, does so for the reason that it has. */
function asServed({ app, ...decision }: Decision): Decision {
  const { kind } = decision.reason;
  if (decision.verdict === 'queue' || kind === 'accept-all' || kind === 'loopback') return decision;
  const reason: Reason = {
    kind: 'user-mode-networking',
    strictest: decision.reason,
    ...(app !== undefined && { app }),
  };
  return { ...decision, reason };
}

/** Whose it was, and so by which way it may go, nobody can tell any more; nobody misses it either. */
function decideForEnded({ policySet }: DecideContext, because: string): Decision {
  return { verdict: 'drop', reason: { kind: 'unknown-owner', because, at: policySet.systemDefault.unknown.at } };
}

/**
 * What it may belong to it is held to, and the strictest of that holds: so that a program gets round no policy by not being known. Who
 * receives is not held to it: it is there, and a receiver that cannot be seen may be the kernel.
 */
function withWhatItMayBe(context: DecideContext, owner: SingleOwner, flow: Flow, known: Decision): Decision {
  if (flow.inbound) return known;
  const policies = mayBelongTo(context.index, owner);
  if (policies === 'too many') {
    const because = 'it may belong to more policies than are weighed';
    const reason: Reason = { kind: 'unknown-owner', because, at: context.policySet.systemDefault.unknown.at };
    return { verdict: 'reject', cause: 'denied', reason };
  }
  return strictest([known, ...policies.map((policy) => decideForApp(context, policy, flow))]) ?? known;
}

/** Nothing that a policy says of cgroups comes before that. */
const isToldByProgram = ({ index }: DecideContext, owner: ProcessOwner): boolean =>
  matchProgram(index, owner) !== undefined;
/** It can have no `via`: that may lead into the very tunnel. */
const TUNNEL: Decision = { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'tunnel' } };

/**
 * What the kernel itself sends is no program's: the default's verb is not about it, its way is. What carries a tunnel passes by the system's
 * routes, or as a policy states that names WireGuard; that the default's `via` leads into the tunnel is not stated.
 */
function decideForKernel(context: DecideContext, owner: KernelOwner, flow: Flow): Decision {
  if (flow.inbound || flow.loopback) return decideByDefault(context, flow);
  const sender = owner.sender ?? kernelSender(context.facts, flow);
  const isTunnel = isTunnelPacket(context.facts, flow);
  if (isTunnel && sender !== 'wireguard') return TUNNEL;
  const policy = matchKernel(context.index, sender)?.policy;
  const stated = policy && decideForApp(context, policy, flow);
  if (stated !== undefined && !isByDefault(stated.reason)) return stated;
  if (isTunnel && policy?.via === undefined) return TUNNEL;
  const via = policy?.via?.value ?? context.policySet.systemDefault.via;
  return perform(context, 'allow', via, flow, { kind: 'kernel', sender }, policy?.app);
}

const isByDefault = (reason: Reason): boolean =>
  reason.kind === 'system-default' || (reason.kind === 'no-uplink-yet' && reason.instead.kind === 'system-default');

/** Of whom it is known that no policy names it. */
export function decideUnnamed(context: DecideContext, flow: Flow): Decision {
  return housekeeping(flow, context.facts) ?? decideByDefault(context, flow);
}

function decideForOne(context: DecideContext, owner: SingleOwner, flow: Flow): Decision {
  const { facts, policySet } = context;
  const { systemDefault } = policySet;
  return keepOutOfOwnTunnel(decideWhoever(context, owner, flow), { facts, owner, flow, systemDefault });
}

/** Whatever tunnel it carries. */
function decideWhoever(context: DecideContext, owner: SingleOwner, flow: Flow): Decision {
  switch (owner.kind) {
    case 'unknown':
      return owner.ended && flow.midstream
        ? decideForEnded(context, owner.because)
        : withWhatItMayBe(context, owner, flow, decideForUnknown(context, owner, owner.because, flow));
    case 'kernel':
      return decideForKernel(context, owner, flow);
    case 'process': {
      const known = decideForProcess(context, owner, flow);
      const isKnown = owner.cgroupGone !== true || owner.accepted === true || isToldByProgram(context, owner);
      return isKnown ? known : withWhatItMayBe(context, owner, flow, known);
    }
  }
}

const LEFT_ALONE: Decision = { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'forwarded' } };
const isLeftAlone = ({ index, facts }: DecideContext, owner: ContainerOwner): boolean =>
  forwardedPolicies(index, owner, facts).length === 0;

/**
 * What a container sends through this machine. The system default is about programs of this machine: without a policy of its
 * own a container is left alone. Where two in one namespace have different policies, neither may be taken for the other.
 */
function decideForContainer(context: DecideContext, owner: ContainerOwner, flow: Flow): Decision {
  const [policy, other] = forwardedPolicies(context.index, owner, context.facts);
  if (policy === undefined) return LEFT_ALONE;
  if (other === undefined) return decideForApp(context, policy, flow);
  const because = `containers of ${policy.app} and of ${other.app} share a network namespace`;
  return { verdict: 'reject', cause: 'denied', reason: { kind: 'blocked-app', because } };
}

/** Total: every owner and flow gets a decision. Pure. */
export function decide(context: DecideContext, owner: Sender, flow: Flow): Decision {
  // Of whom no policy names nobody tells the packets: nothing of them is looked at.
  if (owner.kind === 'container' && isLeftAlone(context, owner)) return LEFT_ALONE;
  const pass = housekeeping(flow, context.facts);
  if (pass !== undefined) return pass;
  if (owner.kind === 'container') return decideForContainer(context, owner, flow);
  if (owner.kind !== 'one of') return decideForOne(context, owner, flow);
  const decisions = owner.candidates.map((candidate) => decideForOne(context, candidate, flow));
  return strictest(decisions) ?? decideForUnknown(context, {}, 'it has no candidates', flow);
}
