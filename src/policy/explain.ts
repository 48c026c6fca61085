/** `explain`: the decision of `decide`, with every rule and uplink on the way to it. Pure; computed from the same snapshot. */
import { equalAddress, formatAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { ambiguousNames } from './ambiguous-names.ts';
import { type DecideContext, decide, servesNamespace } from './decide.ts';
import { decideAsApp } from './decide-as-app.ts';
import type { Accepted, Decision, RefusalCause } from './decision.ts';
import { describeMatch, describeReason, describeVia, describeWay, reasonLocation } from './describe-decision.ts';
import type { EffectivePolicy, EffectiveRule } from './effective-policy.ts';
import type { SingleOwner } from './identity.ts';
import type { KernelSender } from './kernel-senders.ts';
import { matchApp, matchKernel } from './match-app.ts';
import { namesLoopback } from './match-destination.ts';
import { matchEntry } from './match-entry.ts';
import { allRules } from './select-profiles.ts';

export interface ExplainedRule {
  readonly index: number;
  readonly layer: string;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly outcome: 'matched' | 'did not match' | 'name not known' | 'not reached' | 'not in force';
}

export interface ExplainedUplink {
  readonly uplink: string;
  readonly taken: boolean;
  readonly because: string;
}

/** For one address of the other end. */
export interface ExplainedFlow {
  readonly address: string;
  /** `untold`: as no daemon runs, it depends on what the kernel has learned before. */
  readonly verdict: 'accept' | 'reject' | 'drop' | 'queue' | 'untold';
  /** Of what is held: until when. */
  readonly heldFor?: 'name' | 'uplink';
  readonly cause?: RefusalCause;
  /** "uplink wifi", "the system's route", "directly connected", "came in". */
  readonly way?: string;
  readonly reason: string;
  /** Names of which the rules say different things, and which have this address: they cannot be told apart. */
  readonly sharedBy?: readonly string[];
  readonly file?: string;
  readonly line?: number;
  /** Empty for a connection that comes in: rules are about those that go out. */
  readonly rules: readonly ExplainedRule[];
  /** Entries of the `accept` that holds; absent for a connection that goes out, and where nobody states one. */
  readonly accept?: readonly ExplainedRule[];
  readonly uplinks: readonly ExplainedUplink[];
  /** How the kernel comes to it: "decided in the kernel (cgroup map)" or "first packet goes to the daemon, because ...". */
  readonly path: string;
}

export interface Explanation {
  readonly app?: string;
  /** How the program was matched to the application, or that no policy names it. */
  readonly identity: string;
  /** Files that make the policy, strongest layer first. */
  readonly layers: readonly { readonly layer: string; readonly file: string }[];
  /** Who connects: "192.0.2.7:50000", where the question is about a connection that comes in. */
  readonly source?: string;
  /** "example.org:443/tcp"; "port 22/tcp" of a connection that comes in. */
  readonly destination: string;
  /** How the name came to its addresses; absent for an address. */
  readonly nameNote?: string;
  readonly flows: readonly ExplainedFlow[];
  /** Files among those named that have a mistake: their last good version is in force, and lines are those of that version. */
  readonly lastGood?: readonly string[];
}

/** What a person asks. */
export type ExplainQuery = ExplainWho & (OutboundQuestion | InboundQuestion);

/** Exactly one of the four says who. */
export interface ExplainWho {
  readonly app?: string;
  readonly exe?: string;
  readonly pid?: number;
  readonly kernel?: KernelSender;
}

export interface OutboundQuestion {
  /** Address or name. */
  readonly host: string;
  readonly port?: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  /** The program chooses it (SO_BINDTODEVICE); absent: it leaves that to the routes. */
  readonly device?: string;
}

export interface InboundQuestion {
  /** Address of the peer. */
  readonly from: string;
  /** The peer's own port; absent: any. */
  readonly fromPort?: number;
  /** Of this machine. */
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/** Who sends or receives: an application by its name, or an owner whose application is looked up. */
export type Subject =
  | { readonly kind: 'app'; readonly policy: EffectivePolicy }
  | { readonly kind: 'owner'; readonly owner: SingleOwner; readonly called: string };

export interface ExplainInput {
  readonly subject: Subject;
  /** As in the explanation. */
  readonly source?: string;
  readonly destination: string;
  readonly nameNote?: string;
  /** One for each address. */
  readonly flows: readonly Flow[];
  readonly path: string;
}

/** `to` lists of a thousand entries are cut: the line is named. */
const SHOWN_ENTRIES = 8;

export function ruleText({ do: verb, to, via, during }: EffectiveRule): string {
  const shown = to.slice(0, SHOWN_ENTRIES).map(({ text }) => text);
  const when = during === undefined ? '' : ` during ${during.join(' or ')}`;
  const more = to.length > shown.length ? `, and ${to.length - shown.length} more` : '';
  return `${verb} ${shown.join(', ')}${more}${via === undefined ? '' : ` ${describeVia(via)}`}${when}`;
}

export function policyOf(context: DecideContext, subject: Subject): EffectivePolicy | undefined {
  if (subject.kind === 'app') return subject.policy;
  const { owner } = subject;
  if (owner.kind === 'kernel') return matchKernel(context.index, owner.sender)?.policy;
  return owner.kind === 'process' ? matchApp(context.index, owner, context.facts)?.policy : undefined;
}

/** How a subject was matched, or that it was not. */
export function identityOf(context: DecideContext, subject: Subject): string {
  if (subject.kind === 'app') {
    const written = subject.policy.match.filter(({ fromPackage }) => fromPackage === undefined);
    return written.length === 0 ? 'no program is matched to it' : `matched by ${written.map(describeMatch).join(', ')}`;
  }
  const { owner, called } = subject;
  if (owner.kind === 'unknown') return `${called}: unknown, because ${owner.because}`;
  const found =
    owner.kind === 'kernel' ? matchKernel(context.index, owner.sender) : matchApp(context.index, owner, context.facts);
  if (owner.kind === 'kernel' && found === undefined)
    return `${called}: no policy names it, so it is allowed by the way that the system default states`;
  if (owner.kind === 'process' && servesNamespace(owner, found))
    return `${called}: user-mode networking, so that what may be behind it decides`;
  if (found === undefined) return `${called}: no policy names it, so the system default holds`;
  return `${called}: matched by ${describeMatch(found.match)}, ${found.match.at.file}:${found.match.at.line}`;
}

function entryOutcome(context: DecideContext, rule: EffectiveRule, flow: Flow): ExplainedRule['outcome'] {
  const entries = flow.loopback ? rule.to.filter(namesLoopback) : rule.to;
  const outcomes = entries.map((entry) => matchEntry(context.facts, rule.do, entry, flow, context.nowMs));
  return outcomes.includes('unknown') ? 'name not known' : 'did not match';
}

/** `decide` says which rule it was; those before it did not match, those after it were not asked. */
function explainRules(
  context: DecideContext,
  policy: EffectivePolicy,
  flow: Flow,
  decision: Decision,
): ExplainedRule[] {
  const reason = decision.reason.kind === 'no-uplink-yet' ? decision.reason.instead : decision.reason;
  const asked =
    reason.kind === 'rule' ||
    reason.kind === 'otherwise' ||
    reason.kind === 'system-default' ||
    reason.kind === 'name-not-known';
  let stopped = !asked;
  const dormant = new Set(policy.dormant);
  return allRules(policy).map((rule, index) => {
    const matched = reason.kind === 'rule' && reason.index === index;
    if (dormant.has(rule)) {
      const { layer, at } = rule;
      return { index, layer, file: at.file, line: at.line, text: ruleText(rule), outcome: 'not in force' };
    }
    const outcome = stopped ? 'not reached' : matched ? 'matched' : entryOutcome(context, rule, flow);
    if (matched || (reason.kind === 'name-not-known' && outcome === 'name not known')) stopped = true;
    const at = matched && reason.kind === 'rule' ? reason.at : rule.at;
    return { index, layer: rule.layer, file: at.file, line: at.line, text: ruleText(rule), outcome };
  });
}

/** In the order in which `decide` looks at them; it says which it was. */
function explainAccept(
  { policySet }: DecideContext,
  policy: EffectivePolicy | undefined,
  { reason }: Decision,
): ExplainedRule[] | undefined {
  const accept = policy?.accept?.value ?? policySet.systemDefault.accept;
  if (accept === undefined) return undefined;
  const layer = policy?.accept?.layer ?? 'system default';
  let stopped = reason.kind !== 'accept' && reason.kind !== 'not-accepted';
  return accept.from.map(({ text, at }, index) => {
    const matched = !stopped && reason.kind === 'accept' && reason.at === at && reason.entry === text;
    const outcome = stopped ? 'not reached' : matched ? 'matched' : 'did not match';
    if (matched) stopped = true;
    return { index, layer, file: at.file, line: at.line, text, outcome };
  });
}

export function explainFlow(context: DecideContext, subject: Subject, flow: Flow, path: string): ExplainedFlow {
  const policy = policyOf(context, subject);
  const decision =
    subject.kind === 'app' ? decideAsApp(context, subject.policy, flow) : decide(context, subject.owner, flow);
  const at = reasonLocation(decision.reason);
  const accept = flow.inbound ? explainAccept(context, policy, decision) : undefined;
  const shared = (policy === undefined ? [] : ambiguousNames(policy, context.facts, context.nowMs)).find(
    ({ address }) => equalAddress(address, flow.destination),
  );
  return {
    address: formatAddress(flow.inbound ? flow.source : flow.destination),
    verdict: decision.verdict,
    ...(decision.verdict === 'queue' && { heldFor: heldFor(decision.reason) }),
    ...(decision.verdict === 'reject' && { cause: decision.cause }),
    ...(decision.verdict === 'accept' && { way: describeWays(decision) }),
    reason: describeReason(decision),
    ...(shared !== undefined && { sharedBy: shared.names }),
    ...(at !== undefined && { file: at.file, line: at.line }),
    rules: policy === undefined || flow.inbound ? [] : explainRules(context, policy, flow, decision),
    ...(accept !== undefined && { accept }),
    uplinks: decision.choice?.considered ?? [],
    path,
  };
}

const heldFor = (reason: Decision['reason']): 'name' | 'uplink' =>
  (reason.kind === 'user-mode-networking' ? reason.strictest : reason).kind === 'no-uplink-yet' ? 'uplink' : 'name';

/** Of a connection that does not exist yet its share is not known. */
function describeWays({ way, choice }: Accepted): string {
  const taken = choice?.considered.filter((one) => one.taken) ?? [];
  return taken.length > 1 ? `uplink ${taken.map(({ uplink }) => uplink).join(' or ')}` : describeWay(way);
}

export function explain(context: DecideContext, input: ExplainInput): Explanation {
  const policy = policyOf(context, input.subject);
  return {
    ...(policy !== undefined && { app: policy.app }),
    identity: identityOf(context, input.subject),
    layers: policy?.files.map(({ layer, file }) => ({ layer, file })) ?? [],
    ...(input.source !== undefined && { source: input.source }),
    destination: input.destination,
    ...(input.nameNote !== undefined && { nameNote: input.nameNote }),
    flows: input.flows.map((flow) => explainFlow(context, input.subject, flow, input.path)),
  };
}
