/** Planned routes and rules to and from what rtnetlink speaks of; what is ours is told by number. */

import { type Route, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RTN_THROW, RTN_UNICAST } from '../netlink/route.ts';
import { FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, type RoutingRule } from '../netlink/routing-rule.ts';
import type { PlannedRoute, PlannedRule } from '../plan/plan.ts';
import { ROUTE_PROTOCOL, ROUTE_TABLE_BASE, UPLINK_FIRST, UPLINK_LAST } from '../plan/reserved.ts';
import { isInRuleWindow } from '../plan/rule-window.ts';

export function routeOfPlan({ family, table, destination, metric, target }: PlannedRoute): Route {
  const common = { family, table, destination, metric, protocol: ROUTE_PROTOCOL };
  if (target.kind === 'throw') return { ...common, type: RTN_THROW, scope: RT_SCOPE_UNIVERSE, onlink: false };
  const { deviceIndex, gateway, source } = target;
  // IPv6 knows no scopes; `onlink`: a next hop outside of the device's own prefix (a host route's gateway) is right too.
  const scope = gateway === undefined && family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  return {
    ...common,
    type: RTN_UNICAST,
    scope,
    oif: deviceIndex,
    onlink: gateway !== undefined,
    ...(gateway !== undefined && { gateway }),
    ...(source !== undefined && { preferredSource: source }),
  };
}

/** Undefined for a route that is not ours, or that says more than a plan can. */
export function planOfRoute(route: Route): PlannedRoute | undefined {
  if (!isOwnRoute(route)) return undefined;
  const { family, table, destination, metric } = route;
  if (route.type === RTN_THROW) return { family, table, destination, metric, target: { kind: 'throw' } };
  if (route.type !== RTN_UNICAST || route.oif === undefined) return undefined;
  const target = {
    kind: 'unicast',
    deviceIndex: route.oif,
    ...(route.gateway !== undefined && { gateway: route.gateway }),
    ...(route.preferredSource !== undefined && { source: route.preferredSource }),
  } as const;
  return { family, table, destination, metric, target };
}

/** In one of the uplinks' tables, and put there by us. */
export function isOwnRoute({ protocol, table }: Route): boolean {
  return protocol === ROUTE_PROTOCOL && isOwnTable(table);
}

export function isOwnTable(table: number): boolean {
  return table >= ROUTE_TABLE_BASE + UPLINK_FIRST && table <= ROUTE_TABLE_BASE + UPLINK_LAST;
}

export function ruleOfPlan(rule: PlannedRule): RoutingRule {
  const { family, priority, fwmark, from, suppressPrefixLength, action } = rule;
  return {
    family,
    priority,
    invert: false,
    l3mdev: false,
    protocol: ROUTE_PROTOCOL,
    ...(action.kind === 'table'
      ? { action: FR_ACT_TO_TBL, table: action.table }
      : { action: FR_ACT_UNREACHABLE, table: 0 }),
    ...(fwmark !== undefined && { fwmark: fwmark.mark, fwmask: fwmark.mask }),
    ...(from !== undefined && { source: from }),
    ...(suppressPrefixLength !== undefined && { suppressPrefixLength }),
  };
}

/** Undefined for a rule that is not ours, or that says more than a plan can. */
export function planOfRule(rule: RoutingRule): PlannedRule | undefined {
  if (!isOwnRule(rule)) return undefined;
  const { family, priority, fwmark, fwmask, source, suppressPrefixLength, table } = rule;
  if (rule.action !== FR_ACT_TO_TBL && rule.action !== FR_ACT_UNREACHABLE) return undefined;
  return {
    family,
    priority,
    action: rule.action === FR_ACT_TO_TBL ? { kind: 'table', table } : { kind: 'unreachable' },
    ...(fwmark !== undefined && fwmask !== undefined && { fwmark: { mark: fwmark, mask: fwmask } }),
    ...(source !== undefined && { from: source }),
    ...(suppressPrefixLength !== undefined && { suppressPrefixLength }),
  };
}

/** In one of our windows of preferences, and put there by us. */
export function isOwnRule({ protocol, priority }: RoutingRule): boolean {
  return protocol === ROUTE_PROTOCOL && isInRuleWindow(priority);
}
