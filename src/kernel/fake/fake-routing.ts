import { constants } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { type Address, formatPrefix, prefixContains } from '../../net/address.ts';
import type { Link } from '../../netlink/link.ts';
import type { LinkAddress } from '../../netlink/link-address.ts';
import { type Route, RT_TABLE_MAIN, RTN_UNICAST } from '../../netlink/route.ts';
import type { RoutingRule } from '../../netlink/routing-rule.ts';
import type { PlannedRoute, PlannedRule } from '../../plan/plan.ts';
import { kernelErrorFromErrno } from '../errno.ts';
import type { Routing } from '../kernel.ts';
import { planOfRoute, planOfRule, routeOfPlan, ruleOfPlan } from '../planned-routing.ts';
import type { FailurePlan } from './failure-plan.ts';

/** What the machine has that is not ours. */
export interface FakeNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
  readonly rules: readonly RoutingRule[];
}

const slotOf = ({ family, table, destination, metric }: Route): string =>
  `${family} ${table} ${formatPrefix(destination)} ${metric}`;

export class FakeRouting implements Routing {
  readonly #failures: FailurePlan;
  #network: FakeNetwork;
  #namespaceIds: ReadonlyMap<number, number> = new Map();

  constructor(failures: FailurePlan, network: FakeNetwork) {
    this.#failures = failures;
    this.#network = network;
  }

  /** Changes the machine; as in the kernel, routes by a device that is gone or down go with it. */
  setLinks(links: readonly Link[]): void {
    const usable = new Set(links.filter(({ up }) => up).map(({ index }) => index));
    const routes = this.#network.routes.filter(({ oif }) => oif === undefined || usable.has(oif));
    this.#network = { ...this.#network, links, routes };
  }

  /** What others have besides ours. */
  setRoutes(routes: readonly Route[]): void {
    const own = this.#network.routes.filter((route) => planOfRoute(route) !== undefined);
    this.#network = { ...this.#network, routes: [...own, ...routes] };
  }

  /** pid -> number of its namespace. */
  setNamespaceIds(ids: ReadonlyMap<number, number>): void {
    this.#namespaceIds = ids;
  }

  namespaceIdOf(pid: number): number | undefined {
    return this.#namespaceIds.get(pid);
  }

  links(): readonly Link[] {
    return this.#network.links;
  }

  addresses(): readonly LinkAddress[] {
    return this.#network.addresses;
  }

  routes(): readonly Route[] {
    this.#failures.check('observe routing');
    return this.#network.routes;
  }

  rules(): readonly RoutingRule[] {
    return this.#network.rules;
  }

  /** By the main table, as a machine without rules of others does. */
  deviceTo(destination: Address): number | undefined {
    const fitting = this.#network.routes
      .filter(({ table, destination: to }) => table === RT_TABLE_MAIN && prefixContains(to, destination))
      .toSorted((a, b) => b.destination.length - a.destination.length || a.metric - b.metric);
    return fitting[0]?.type === RTN_UNICAST ? (fitting[0].oif ?? fitting[0].nexthops?.[0]?.oif) : undefined;
  }

  ownRoutes(): readonly PlannedRoute[] {
    return this.routes().flatMap((route) => planOfRoute(route) ?? []);
  }

  ownRules(): readonly PlannedRule[] {
    return this.rules().flatMap((rule) => planOfRule(rule) ?? []);
  }

  addRoute(planned: PlannedRoute): void {
    this.#failures.check('add route');
    const route = routeOfPlan(planned);
    if (route.oif !== undefined) this.#requireUp(route.oif, planned);
    const others = this.#network.routes.filter((other) => slotOf(other) !== slotOf(route));
    this.#network = { ...this.#network, routes: [...others, route] };
  }

  deleteRoute(planned: PlannedRoute): void {
    this.#failures.check('delete route');
    const route = routeOfPlan(planned);
    const others = this.#network.routes.filter((other) => !isDeepStrictEqual(other, route));
    if (others.length === this.#network.routes.length)
      throw refusal('delete route', 'ESRCH', formatPrefix(planned.destination));
    this.#network = { ...this.#network, routes: others };
  }

  addRule(planned: PlannedRule): void {
    this.#failures.check('add rule');
    const rule = ruleOfPlan(planned);
    const present = this.#network.rules.some((other) => isDeepStrictEqual(other, rule));
    if (present) throw refusal('add rule', 'EEXIST', `${planned.priority}`);
    this.#network = { ...this.#network, rules: [...this.#network.rules, rule] };
  }

  deleteRule(planned: PlannedRule): void {
    this.#failures.check('delete rule');
    const rule = ruleOfPlan(planned);
    const others = this.#network.rules.filter((other) => !isDeepStrictEqual(other, rule));
    if (others.length === this.#network.rules.length) throw refusal('delete rule', 'ENOENT', `${planned.priority}`);
    this.#network = { ...this.#network, rules: others };
  }

  #requireUp(deviceIndex: number, { destination }: PlannedRoute): void {
    const link = this.#network.links.find(({ index }) => index === deviceIndex);
    if (link === undefined) throw refusal('add route', 'ENODEV', formatPrefix(destination));
    if (!link.up) throw refusal('add route', 'ENETDOWN', formatPrefix(destination));
  }
}

const refusal = (
  operation: string,
  code: 'ENODEV' | 'ENETDOWN' | 'ESRCH' | 'EEXIST' | 'ENOENT',
  object: string,
): Error => kernelErrorFromErrno(operation, constants.errno[code], object);
