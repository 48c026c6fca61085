/**
 * What can hold before a daemon has ever run since the machine started: our table without anything that is true only of this start of the machine
 * (ids of cgroups, devices, addresses that names had), and without anybody to ask. It remembers no decision: the daemon makes each anew.
 */
import type { Family } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { printable } from '../net/printable.ts';
import { describeMatch } from '../policy/describe-decision.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { NEIGHBOUR_DISCOVERY } from '../policy/housekeeping.ts';
import type { Match, SystemDefault } from '../policy/model.ts';
import { waitsForProfiles } from '../policy/select-profiles.ts';
import { compile } from './compile.ts';
import { CHAIN } from './compile-app.ts';
import { onLinkSet } from './compile-destinations.ts';
import { LINK6 } from './compile-housekeeping.ts';
import { accept, goto, is, rule } from './nft/expressions.ts';
import { reachableFrom } from './nft/reachable.ts';
import { renderCommands } from './nft/render.ts';
import type { Chain, Expression, Rule, Ruleset } from './nft/ruleset.ts';
import { CHAIN_STATIC } from './reserved.ts';

/** Of the file and of what the table means to whoever finds it in the kernel. */
export const STATIC_FORMAT = 1;

export interface StaticPlanInput {
  /** All of it: which rules wait for a profile is not known before. */
  readonly policySet: PolicySet;
  readonly facts: Pick<Facts, 'users' | 'groups'>;
  /** Where the files are, as a person would type it. */
  readonly from: string;
}

/** An application that nobody but the daemon tells, and how policies tell it. */
export interface UntoldApp {
  readonly app: string;
  readonly match: readonly string[];
}

export interface StaticPlan {
  readonly format: number;
  readonly whenAway: SystemDefault['whenAway'];
  /** Sorted by name. Where it is empty the kernel tells everybody. */
  readonly untold: readonly UntoldApp[];
  readonly ruleset: Ruleset;
  /** The same for `nft -f`. */
  readonly nft: string;
}

const NO_TIME: MonotonicMs = 0;

export function staticPlan({ policySet, facts, from }: StaticPlanInput): StaticPlan {
  const { whenAway } = policySet.systemDefault;
  const untold = untoldApps(policySet);
  const { plan } = compile({
    policySet,
    facts: { ...NOTHING_KNOWN, users: facts.users, groups: facts.groups },
    // Without a queue: what would be asked about goes straight to the chain behind it.
    host: { cgroups: [], queue: 'xtables' },
    // Numbers of applications are the daemon's business, and no decision outlives its packet.
    appIds: new Map(),
    nowMs: NO_TIME,
    told: untold.length === 0 ? 'directly' : whenAway === 'open' ? 'by user' : 'asked',
  });
  const ruleset = forgetful(plan.nft, whenAway);
  const nft = renderCommands([{ kind: 'replace table', ruleset }], NO_TIME);
  return { format: STATIC_FORMAT, whenAway, untold, ruleset, nft: `${header(from, whenAway, untold)}${nft}` };
}

const NOTHING_KNOWN: Facts = {
  uplinks: [],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
};

/** A program, a cgroup, a container come before a user: where one is named, the user alone does not tell. */
function untoldApps({ apps }: PolicySet): readonly UntoldApp[] {
  const isTold = apps.every(
    (policy) => !waitsForProfiles(policy) && policy.match.every(({ kind }) => kind === 'user' || kind === 'group'),
  );
  if (isTold) return [];
  return apps
    .filter(({ match }) => match.length > 0)
    .map(({ app, match }) => ({ app, match: [...new Set(match.map(inWords))] }));
}

/** A package's programs go by its name. */
const inWords = (entry: Match): string =>
  entry.fromPackage === undefined ? describeMatch(entry) : `package ${entry.fromPackage}`;

/**
 * `ruleset` without what writes into conntrack marks or needs them, with loopback open, and without what nothing leads to any more. What
 * would be asked about is decided here: a daemon that starts answers the queue before its own table is there, and this is in nobody's mark.
 */
function forgetful(ruleset: Ruleset, whenAway: SystemDefault['whenAway']): Ruleset {
  const chains = new Map<string, Chain>();
  for (const [name, chain] of ruleset.chains) chains.set(name, { ...chain, rules: chain.rules.flatMap(withoutMemory) });
  const instead = (name: string, ...rules: readonly Rule[]): void => {
    const chain = chains.get(name);
    if (chain !== undefined) chains.set(name, { ...chain, rules });
  };
  instead('loopback', rule(accept));
  instead(CHAIN.ask, rule(whenAway === 'open' ? accept : goto('refuse')));
  chains.set(CHAIN_STATIC, {
    name: CHAIN_STATIC,
    comment: `format ${STATIC_FORMAT}: in force until the daemon starts`,
    rules: [],
  });
  return reachableFrom({ ...ruleset, chains }, [CHAIN_STATIC]);
}

/** What conntrack does not follow need not be remembered either: it is as all else. */
const isAboutUntracked = (expression: Expression): boolean =>
  expression.kind === 'compare' && expression.field.kind === 'ct state' && expression.values.join() === 'untracked';

/** Whose address is on a link nobody knows before there is one. Programs cannot send these (CAP_NET_RAW), and nobody forwards them (RFC 4861 section 7.1). */
const isAboutNeighbours = (expression: Expression): boolean =>
  expression.kind === 'compare' &&
  expression.field.kind === 'icmpv6 type' &&
  NEIGHBOUR_DISCOVERY.every((type) => expression.values.includes(type));
const isOnLink = (expression: Expression): boolean => expression.kind === 'lookup' && expression.set === LINK6;

/**
 * Which networks this machine is connected to nobody knows before it is: only of what cannot leave a link by its nature rules decide that speak of
 * `on-link`. All else may be meant, so that it gets what has to be asked about.
 */
function withUnknownLinks(expressions: readonly Expression[]): readonly Rule[] | undefined {
  const set = expressions.flatMap((expression) => (expression.kind === 'lookup' ? expression.set : []));
  const family = FAMILIES.find((one) => set.includes(onLinkSet(one, true)) || set.includes(onLinkSet(one, false)));
  if (family === undefined) return undefined;
  const others = expressions.filter(
    (expression) =>
      expression.kind !== 'verdict' && !(expression.kind === 'lookup' && ON_LINK_SETS.includes(expression.set)),
  );
  return [{ expressions }, rule(is({ kind: 'meta nfproto' }, `ipv${family}`), ...others, goto(CHAIN.ask))];
}

const FAMILIES: readonly Family[] = [4, 6];
const ON_LINK_SETS: readonly string[] = FAMILIES.flatMap((one) => [onLinkSet(one, true), onLinkSet(one, false)]);

function withoutMemory({ expressions }: Rule): readonly Rule[] {
  if (expressions.some(isAboutUntracked)) return [];
  const unknown = withUnknownLinks(expressions);
  if (unknown !== undefined) return unknown;
  const anywhere = expressions.some(isAboutNeighbours);
  const kept = expressions.filter(
    (expression) => !('to' in expression && expression.to === 'ct mark') && !(anywhere && isOnLink(expression)),
  );
  if (kept.length === expressions.length) return [{ expressions }];
  return kept.every(isMatch) ? [] : [{ expressions: kept }];
}

const isMatch = ({ kind }: Expression): boolean => kind === 'compare' || kind === 'lookup';

function header(from: string, whenAway: SystemDefault['whenAway'], untold: readonly UntoldApp[]): string {
  const lines = [
    `Pointsman, before its daemon starts; format ${STATIC_FORMAT}. Made of ${from} by "pointsman plan --static": to be made anew when that changes.`,
    'Load it before the network comes up: nft -f FILE. The daemon takes its place when it starts; "pointsman down" removes it.',
    ...meaning(whenAway, untold),
  ];
  return lines.map((line) => `# ${printable(line)}\n`).join('');
}

function meaning(whenAway: SystemDefault['whenAway'], untold: readonly UntoldApp[]): readonly string[] {
  if (untold.length === 0)
    return ['Policies name users and groups alone: they are decided by their rules, all else by the default.'];
  const what =
    whenAway === 'open'
      ? 'whenAway: open. Users and groups are decided by their rules; all else passes, these too, which only the daemon tells:'
      : 'whenAway: closed. All but loopback, answers and housekeeping is refused, as any program may be one of these, which only the daemon tells:';
  return [what, ...untold.map(({ app, match }) => `  ${app}: ${match.join(', ')}`)];
}
