/** One application's policy as a chain. Equal policies of different applications give the same chain, shared by name. */

import type { MonotonicMs } from '../net/clock.ts';
import { hasLoopbackResolver, namesHosts, queryVia, speaksOfQueries } from '../policy/dns-query.ts';
import type { EffectivePolicy, EffectiveRule } from '../policy/effective-policy.ts';
import type { Facts, NameState } from '../policy/facts.ts';
import { resolverEntry, rulesInForce } from '../policy/implied-rule.ts';
import { type InsideFacts, insideFacts } from '../policy/inside-address.ts';
import { namesLoopback } from '../policy/match-destination.ts';
import type { Destination, SystemDefault, Verb, Via } from '../policy/model.ts';
import { appSlot } from '../policy/share-slot.ts';
import { viaText } from '../policy/via-text.ts';
import { type CompiledDestinations, compileDestinations, type NamedSet } from './compile-destinations.ts';
import type { ContentNames } from './content-name.ts';
import { goto, rule } from './nft/expressions.ts';
import { renderRule } from './nft/render.ts';
import type { Chain, Expression, Field, NftSet, Rule } from './nft/ruleset.ts';

/** Chains that every ruleset has; see `compile-nft.ts`. */
export const CHAIN = {
  acceptSystem: 'accept_system',
  acceptLocal: 'accept_local',
  acceptLoopback: 'accept_loopback',
  deny: 'deny',
  noUplink: 'no_uplink',
  /** Only where some `via` blocks what is local. */
  localBlocked: 'local_blocked',
  dropped: 'dropped',
  acceptInbound: 'accept_inbound',
  denyInbound: 'deny_inbound',
  ask: 'ask',
  /** Only where some `via` waits. */
  waitForUplink: 'wait_for_uplink',
} as const;

/** A `via`, and where applications share by it the slot of this one. */
export interface Choice {
  readonly via: Via;
  readonly slot?: number;
}

/** What one policy contributes. `choices` are those that its rules go to, by chain name. */
export interface AppPart {
  readonly chain: Chain;
  /** Present where some rule names loopback. */
  readonly loopback?: Chain;
  /** The chain for what passes on loopback. */
  readonly passLoopback: string;
  /** Its answers are to be learned. */
  readonly namesHosts: boolean;
  /** For connections that come in; present where something is said about them. */
  readonly accept?: Chain;
  /** For queries to resolvers that are not on loopback; present where rules by names do not speak of them. */
  readonly queries?: Chain;
  readonly sets: readonly NftSet[];
  readonly named: readonly NamedSet[];
  readonly choices: ReadonlyMap<string, Choice>;
  /** The same of queries to a resolver on loopback. */
  readonly queryChoices: ReadonlyMap<string, Via>;
  /** The name states it was made with: it holds as long as they are the same. */
  readonly names: ReadonlyMap<string, NameState | undefined>;
  /** The resolvers it was made with, where it names hosts. */
  readonly resolvers?: Facts['resolvers'];
  /** The same, where it refuses some. */
  readonly inside?: InsideFacts;
  /** Whether it was made with a resolver on loopback. */
  readonly hasLoopbackResolver: boolean;
  /** Its rules look into the sets of what is on link. */
  readonly speaksOfOnLink: boolean;
}

/** Equal constraints share a choice, wherever they are written. */
const choiceName = (kind: 'choice' | 'query_choice', { via, slot }: Choice, names: ContentNames): string =>
  names.name(kind, `${viaText(via)}${slot ?? ''}`);

const PEER_FIELDS: Partial<Record<Field['kind'], Field>> = {
  'ip daddr': { kind: 'ip saddr' },
  'ip6 daddr': { kind: 'ip6 saddr' },
};

const ofPeer = (expression: Expression): Expression =>
  expression.kind === 'lookup'
    ? { ...expression, fields: expression.fields.map((field) => PEER_FIELDS[field.kind] ?? field) }
    : expression;

class PartBuilder {
  readonly sets = new Map<string, NftSet>();
  readonly named: NamedSet[] = [];
  readonly choices = new Map<string, Choice>();
  readonly queryChoices = new Map<string, Via>();
  readonly #names: ContentNames;
  readonly #app: string;

  constructor(names: ContentNames, app: string) {
    this.#names = names;
    this.#app = app;
  }

  /** The chain that carries out a verb. */
  target(verb: Verb, via: Via | undefined): string {
    if (verb === 'deny') return CHAIN.deny;
    if (verb === 'drop') return CHAIN.dropped;
    if (via === undefined) return CHAIN.acceptSystem;
    const choice = { via, ...(via.share === 'app' && { slot: appSlot(this.#app) }) };
    const name = choiceName('choice', choice, this.#names);
    this.choices.set(name, choice);
    return name;
  }

  /** The chain for what passes on loopback. */
  loopbackTarget(via: Via | undefined, facts: Facts): string {
    if (via === undefined || !hasLoopbackResolver(facts)) return CHAIN.acceptLoopback;
    const name = choiceName('query_choice', { via }, this.#names);
    this.queryChoices.set(name, via);
    return name;
  }

  rules(to: readonly Destination[], verb: Verb, target: string, facts: Facts, nowMs: MonotonicMs): Rule[] {
    const compiled: CompiledDestinations = compileDestinations(to, verb, facts, nowMs, this.#names);
    for (const set of compiled.sets) this.sets.set(set.name, set);
    this.named.push(...compiled.named);
    return [
      ...compiled.matches.map((match) => rule(...match, goto(target))),
      ...compiled.unknown.map((match) => rule(...match, goto(CHAIN.ask))),
    ];
  }

  /** Rules about who is at the other end: the addresses that `rules` looks for in the destination are the sender's. */
  peers(from: readonly Destination[], facts: Facts, nowMs: MonotonicMs): Rule[] {
    return this.rules(from, 'allow', CHAIN.acceptInbound, facts, nowMs).map(({ expressions }) =>
      rule(...expressions.map(ofPeer)),
    );
  }

  chain(kind: string, rules: readonly Rule[]): Chain {
    return { name: this.#names.name(kind, rules.map(renderRule).join('\n')), rules };
  }
}

function namesUsed(rules: readonly EffectiveRule[], facts: Facts): Pick<AppPart, 'names' | 'resolvers' | 'inside'> {
  const names = new Map<string, NameState | undefined>();
  for (const { to } of rules) {
    for (const { target } of to) if (target.kind === 'name') names.set(target.name, facts.names.get(target.name));
  }
  if (names.size === 0) return { names };
  const refuses = rules.some(({ do: verb, to }) => verb !== 'allow' && to.some(({ target }) => target.kind === 'name'));
  return { names, resolvers: facts.resolvers, ...(refuses && { inside: insideFacts(facts) }) };
}

/** Everything a part depends on but the names' addresses: policies with equal keys share one part. */
export function partKey(policy: EffectivePolicy, systemDefault: SystemDefault): string {
  const via = (value: Via | undefined): string =>
    value === undefined ? '' : JSON.stringify({ ...value, at: undefined });
  const ways = [policy.via?.value, ...policy.rules.map((r) => r.via), systemDefault.via];
  const rules = policy.rules.map((r) => `${r.do}${via(r.via)}:${r.to.map(({ text }) => text).join()}`);
  return [
    policy.blocked === undefined ? '' : 'blocked',
    policy.otherwise?.value.do ?? '',
    ways.some((way) => way?.share === 'app') ? String(appSlot(policy.app)) : '',
    via(policy.via?.value),
    // Nobody's own policy has the system default's.
    policy.accept?.value.from.map(({ text }) => text).join() ?? (policy.app === '' ? 'default' : 'none'),
    ...rules,
  ].join('\n');
}

export function compileApp(
  policy: EffectivePolicy,
  systemDefault: SystemDefault,
  facts: Facts,
  nowMs: MonotonicMs,
  names: ContentNames,
): AppPart {
  const builder = new PartBuilder(names, policy.app);
  const via = policy.via?.value;
  const rules: Rule[] = [];
  let queries: Chain | undefined;
  if (policy.blocked !== undefined) rules.push(rule(goto(CHAIN.deny)));
  else {
    const inForce = rulesInForce(policy, facts.resolvers);
    const compiled = (speaks: (entry: Destination) => boolean): Rule[] =>
      inForce.flatMap(({ rule: { to, do: verb, via: own } }) =>
        builder.rules(to.filter(speaks), verb, builder.target(verb, own ?? via), facts, nowMs),
      );
    const { do: verb } = policy.otherwise?.value ?? systemDefault.otherwise;
    const otherwise = rule(
      goto(builder.target(verb, via ?? (policy.otherwise === undefined ? systemDefault.via : undefined))),
    );
    const silent = inForce.flatMap(({ rule: { to } }) => to).find((entry) => !speaksOfQueries(entry));
    if (silent !== undefined && facts.resolvers.length > 0) {
      const asked = facts.resolvers.map((address) => ({ ...resolverEntry(address), at: silent.at }));
      queries = builder.chain('queries', [...compiled(speaksOfQueries), otherwise]);
      rules.push(...builder.rules(asked, 'allow', queries.name, facts, nowMs));
    }
    rules.push(...compiled(() => true), otherwise);
  }
  const aboutLoopback = policy.rules.filter(({ to }) => to.some(namesLoopback));
  const wayOfQueries = queryVia(policy.app === '' ? undefined : policy, systemDefault);
  const passLoopback = builder.loopbackTarget(wayOfQueries, facts);
  const loopbackRules = aboutLoopback.flatMap(({ to, do: verb }) =>
    builder.rules(
      to.filter(namesLoopback),
      verb,
      verb === 'allow' ? passLoopback : builder.target(verb, undefined),
      facts,
      nowMs,
    ),
  );
  const accepts = policy.accept?.value ?? (policy.app === '' ? systemDefault.accept : undefined);
  const peers = policy.blocked === undefined ? accepts && builder.peers(accepts.from, facts, nowMs) : [];
  const entries = [...policy.rules.flatMap(({ to }) => to), ...(accepts?.from ?? [])];
  return {
    chain: builder.chain('app', rules),
    ...(peers === undefined ? {} : { accept: builder.chain('accept', [...peers, rule(goto(CHAIN.denyInbound))]) }),
    ...(loopbackRules.length === 0
      ? {}
      : { loopback: builder.chain('loopback', [...loopbackRules, rule(goto(passLoopback))]) }),
    ...(queries === undefined ? {} : { queries }),
    passLoopback,
    namesHosts: namesHosts(policy),
    sets: [...builder.sets.values()],
    named: builder.named,
    choices: builder.choices,
    queryChoices: builder.queryChoices,
    ...namesUsed(policy.rules, facts),
    hasLoopbackResolver: hasLoopbackResolver(facts),
    speaksOfOnLink: entries.some(({ target }) => target.kind === 'on-link'),
  };
}
