/** Faults of a plan, each of which would send something by another way or with another address than was decided. */
import { prefixRange } from '../../src/net/address.ts';
import { LOCAL4, LOCAL6 } from '../../src/plan/compile-choice.ts';
import { compileRouting } from '../../src/plan/compile-routing.ts';
import { goto, inSet, rule } from '../../src/plan/nft/expressions.ts';
import type { Chain, Expression, MapElement, NftMap, NftSet, Rule, Ruleset } from '../../src/plan/nft/ruleset.ts';
import type { Plan, PlannedRoute, PlannedRule } from '../../src/plan/plan.ts';
import {
  MARK_UPLINK_SHIFT,
  MARK_WAY,
  RULE_PREF_LOCAL,
  RULE_PREF_SOURCE,
  UPLINK_LOCAL,
  wayMark,
} from '../../src/plan/reserved.ts';
import { chooseUplink, waysOut } from '../../src/policy/choose-uplink.ts';
import { prefix } from './generated-machine.ts';
import { type World, withFault } from './judge-way.ts';

export interface SeededFault {
  readonly name: string;
  readonly change: (world: World) => World;
  /** What shows it: packets that are sent, or what answers. */
  readonly about?: 'ways' | 'answers';
}

type PlanFault = (plan: Plan) => Plan;
const inPlan =
  (change: PlanFault) =>
  (world: World): World =>
    withFault(world, change(world.plan));

const withRules = (change: (rules: readonly PlannedRule[]) => readonly PlannedRule[]) =>
  inPlan((plan) => ({ ...plan, rules: change(plan.rules) }));
const withRoutes = (change: (routes: readonly PlannedRoute[]) => readonly PlannedRoute[]) =>
  inPlan((plan) => ({ ...plan, routes: change(plan.routes) }));
const withRuleset = (change: (ruleset: Ruleset) => Ruleset) => inPlan((plan) => ({ ...plan, nft: change(plan.nft) }));

const withChain = (name: RegExp, change: (rules: readonly Rule[]) => readonly Rule[]) =>
  withRuleset((nft) => {
    const chains = [...nft.chains].map(([key, chain]): [string, Chain] => [
      key,
      name.test(key) ? { ...chain, rules: change(chain.rules) } : chain,
    ]);
    return { ...nft, chains: new Map(chains) };
  });
const withMap = (name: string, change: (elements: readonly MapElement[]) => readonly MapElement[]) =>
  withRuleset((nft) => {
    const maps = [...nft.maps].map(([key, map]): [string, NftMap] => [
      key,
      key === name ? { ...map, elements: change(map.elements) } : map,
    ]);
    return { ...nft, maps: new Map(maps) };
  });

const withSets = (name: RegExp, change: (set: NftSet) => NftSet) =>
  withRuleset((nft) => ({
    ...nft,
    sets: new Map([...nft.sets].map(([key, set]) => [key, name.test(key) ? change(set) : set])),
  }));

const toLocal: readonly Rule[] = [
  rule(inSet(LOCAL4, { kind: 'ip daddr' }), goto('accept_local')),
  rule(inSet(LOCAL6, { kind: 'ip6 daddr' }), goto('accept_local')),
];
const jumps = ({ expressions }: Rule): boolean =>
  expressions.some((expression) => expression.kind === 'verdict' && expression.verdict.kind === 'jump');
const isOfPrefix = (text: string): ((element: NftSet['elements'][number]) => boolean) => {
  const { first } = prefixRange(prefix(text));
  return ({ key }) => key.some((part) => typeof part !== 'string' && part.first === first);
};

const does = (kind: Expression['kind']) => (rule: Rule) =>
  rule.expressions.some((expression) => expression.kind === kind);
const isDrop = ({ expressions }: Rule): boolean =>
  expressions.some((expression) => expression.kind === 'verdict' && expression.verdict.kind === 'drop');

/** As it was: the way of the first rule that has one, whatever else may leave by the system's. */
function firstViaForAll(world: World): World {
  const { plan, policySet, facts } = world;
  const [policy] = policySet.apps;
  const rest = policy?.otherwise?.value ?? policySet.systemDefault.otherwise;
  const ofRules = policy?.rules.find(({ do: verb, via }) => verb === 'allow' && via !== undefined)?.via;
  const usual =
    policy?.via?.value ??
    (rest.do === 'allow' && policy?.otherwise === undefined ? (policySet.systemDefault.via ?? ofRules) : ofRules);
  if (usual === undefined) return world;
  const bits = (family: 4 | 6): number => {
    const { way } = chooseUplink(usual, family, waysOut(policySet, facts));
    return way.kind === 'uplink' ? way.id << MARK_UPLINK_SHIFT : 0;
  };
  const numbers = world.isMarked ? [APP_NUMBER] : [];
  const ways = new Map([
    ...plan.socketWays,
    ...numbers.map((number) => [number, { v4: bits(4), v6: bits(6) }] as const),
  ]);
  return withFault(world, { ...plan, socketWays: ways });
}
const APP_NUMBER = 5;

const isWayRule = ({ fwmark }: PlannedRule): boolean =>
  fwmark?.mask === MARK_WAY && fwmark.mark !== wayMark(UPLINK_LOCAL);

/** Of neighbours in the list, each takes what the other has. */
const swapPairs = <T, V>(items: readonly T[], take: (item: T) => V, put: (item: T, value: V) => T): T[] =>
  items.map((item, i) => {
    const other = items[i ^ 1];
    return other === undefined ? item : put(item, take(other));
  });

export const FAULTS: readonly SeededFault[] = [
  {
    name: 'sockets are marked for the first via, also where other flows have the system’s route',
    change: firstViaForAll,
  },
  {
    name: 'the rule about the source holds for what was decided, too',
    change: withRules((rules) =>
      rules.map(({ fwmark, ...rule }) =>
        rule.from === undefined && fwmark !== undefined ? { ...rule, fwmark } : rule,
      ),
    ),
  },
  {
    name: 'the rule about the source stands before those about the mark, and asks for none',
    change: withRules((rules) =>
      rules.map((rule) => {
        if (rule.from === undefined) return rule;
        const { fwmark: _, ...rest } = rule;
        return { ...rest, priority: rule.priority - (RULE_PREF_SOURCE - RULE_PREF_LOCAL) };
      }),
    ),
  },
  {
    name: 'there are no rules about the source',
    change: withRules((rules) => rules.filter(({ from }) => from === undefined)),
    about: 'answers',
  },
  {
    name: 'marks lead to the tables of others',
    change: withRules((rules) => {
      const ways = rules.filter(isWayRule);
      const swapped = [4, 6].flatMap((family) =>
        swapPairs(
          ways.filter((rule) => rule.family === family),
          ({ action }) => action,
          (rule, action) => ({ ...rule, action }),
        ),
      );
      return [...rules.filter((rule) => !isWayRule(rule)), ...swapped];
    }),
  },
  { name: 'no rule leads by a mark', change: withRules((rules) => rules.filter((rule) => !isWayRule(rule))) },
  {
    name: 'on-link flows see the default routes of main',
    change: withRules((rules) =>
      rules.map(({ suppressPrefixLength: _, ...rule }) => rule).filter(({ action }) => action.kind === 'table'),
    ),
  },
  {
    name: 'the tables throw nothing back to main',
    change: withRoutes((routes) => routes.filter(({ target }) => target.kind !== 'throw')),
  },
  {
    name: 'default routes go by the wrong router',
    change: withRoutes((routes) =>
      routes.map((route) => {
        const { target } = route;
        if (target.kind !== 'unicast' || target.gateway === undefined) return route;
        const gateway = { ...target.gateway, value: target.gateway.value + 1n };
        return { ...route, target: { ...target, gateway } };
      }),
    ),
  },
  { name: 'nothing is masqueraded', change: withMap('masquerade_of_uplink', () => []) },
  {
    name: 'what goes by the system’s routes is not masqueraded',
    change: withMap('masquerade_of_uplink', (elements) => elements.filter(({ key }) => key !== BigInt(wayMark(0)))),
  },
  {
    name: 'all that goes by the system’s routes is masqueraded',
    change: withChain(/^masquerade_system/, (rules) => [{ expressions: [{ kind: 'masquerade' }] }, ...rules]),
  },
  {
    name: 'there is no guard, and nothing is masqueraded or routed by marks',
    change: (world) =>
      withMap('guard_of_uplink', () => [])(withRules((rules) => rules.filter((rule) => !isWayRule(rule)))(world)),
  },
  {
    name: 'the guard drops everything that has a way',
    change: withChain(/^guard_\d+$/, (rules) => rules.filter(isDrop)),
  },
  {
    name: 'packets are marked for the uplink behind the one that was chosen',
    change: withMap('way_of_own', (elements) =>
      swapPairs(
        elements,
        ({ data }) => data,
        (element, data) => ({ ...element, data }),
      ),
    ),
  },
  {
    name: 'what was chosen is not written into the packet',
    change: withChain(/^via_\d+$/, (rules) => rules.filter((rule) => !does('set mark')(rule))),
  },
  {
    name: 'a socket’s uplink stays in the mark of what goes by the system’s routes',
    change: withChain(/^via_system$/, (rules) => rules.filter((rule) => !does('set mark')(rule))),
  },
  {
    name: 'a socket’s uplink stays in the mark of what answers',
    change: withChain(/^via_source/, (rules) => rules.filter((rule) => !does('set mark')(rule))),
    about: 'answers',
  },
  {
    name: 'what others translate keeps the way of its first destination',
    change: withChain(/^translated$/, () => []),
  },
  {
    name: 'a way stays on what leaves by loopback',
    change: withChain(/^(translated|guard_loopback)$/, () => []),
  },
  {
    name: 'local destinations take the way of the application',
    change: withChain(/^(local|choice_)/, (rules) => rules.filter((rule) => !does('lookup')(rule))),
  },
  {
    name: 'the tables of uplinks that carry what is local elsewhere throw it back to main',
    change: (world) => withFault(world, { ...world.plan, routes: compileRouting(world.facts, {}).routes }),
  },
  {
    name: 'what was routed for an uplink that carries what is local keeps its source where it is reached directly',
    change: withChain(/^masquerade_local$/, () => []),
  },
  {
    name: 'local: via is not heeded: local destinations are reached directly',
    change: withChain(/^choice_/, (rules) => (rules.some(jumps) ? rules : [...toLocal, ...rules])),
  },
  { name: 'what local: block refuses goes by the uplink', change: withChain(/^no_local$/, () => []) },
  { name: 'what local: block refuses is reached directly', change: withChain(/^local_blocked$/, () => toLocal) },
  {
    name: 'on-link is private networks alone',
    change: withSets(/on_link6$/, (set) => ({
      ...set,
      elements: set.elements.filter((element) => !isOfPrefix('2001:db8:7::/64')(element)),
    })),
  },
  { name: 'nothing is on link', change: withSets(/on_link\d$/, (set) => ({ ...set, elements: [] })) },
];
