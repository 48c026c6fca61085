/** One look-up in the routing policy database, as fib_rules_lookup() and the tables behind it do it. */
import { type Address, isLoopbackAddress, type Prefix, prefixContains } from '../../net/address.ts';
import { LOOPBACK_DEVICE, type Machine, type Route, type RoutingRule } from './machine.ts';

export interface RouteQuestion {
  readonly destination: Address;
  /** Absent: not chosen yet. A rule that asks for one does not match then. */
  readonly source?: Address;
  readonly mark: number;
  /** The only one that will do. */
  readonly device?: string;
}

export interface FoundRoute {
  readonly device: string;
  readonly gateway?: Address;
  /** What the route says about the source. */
  readonly source?: Address;
}

const isAt = (prefix: Prefix, address: Address | undefined): boolean =>
  address !== undefined && prefixContains(prefix, address);

function matches(rule: RoutingRule, { source, mark }: RouteQuestion): boolean {
  const { fwmark, from, invert } = rule;
  const isMark = fwmark === undefined || ((mark ^ fwmark.mark) & fwmark.mask) === 0;
  return (isMark && (from === undefined || isAt(from, source))) !== (invert === true);
}

/** `throw` leads nowhere, whatever is chosen. */
const leadsBy = ({ target }: Route, device: string | undefined): boolean =>
  device === undefined || target.kind === 'throw' || target.device === device;

/** The longest prefix, and of equals the lowest metric. */
function bestRoute(routes: readonly Route[], destination: Address, device: string | undefined): Route | undefined {
  let best: Route | undefined;
  for (const route of routes) {
    if (!prefixContains(route.destination, destination) || !leadsBy(route, device)) continue;
    const longer = route.destination.length - (best?.destination.length ?? -1);
    if (longer > 0 || (longer === 0 && route.metric < (best?.metric ?? 0))) best = route;
  }
  return best;
}

/**
 * `undefined`: network unreachable. Where a device is chosen, IPv4 takes what it has no route for to be on its link
 * (ip_route_output_key_hash_rcu() in net/ipv4/route.c).
 */
export function lookUpRoute(machine: Machine, question: RouteQuestion): FoundRoute | undefined {
  const { device, destination } = question;
  const found = lookUpTables(machine, question);
  return found ?? (device !== undefined && destination.family === 4 ? { device } : undefined);
}

function lookUpTables({ devices, tables, rules }: Machine, question: RouteQuestion): FoundRoute | undefined {
  const { device, destination } = question;
  const isOwn = devices.some(({ addresses }) =>
    addresses.some(({ family, value }) => family === destination.family && value === destination.value),
  );
  if (isOwn || isLoopbackAddress(destination)) return { device: LOOPBACK_DEVICE };
  for (const rule of rules) {
    if (rule.family !== destination.family || !matches(rule, question)) continue;
    if (rule.action.kind === 'unreachable') return undefined;
    const route = bestRoute(tables.get(rule.action.table) ?? [], destination, device);
    if (route === undefined || route.target.kind === 'throw') continue;
    if (route.destination.length <= (rule.suppressPrefixLength ?? -1)) continue;
    const { kind: _, ...found } = route.target;
    return found;
  }
  return undefined;
}
