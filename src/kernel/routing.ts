/** Devices, addresses, routes and routing rules by rtnetlink. */
import { constants } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { type Address, type Family, formatAddress, formatPrefix } from '../net/address.ts';
import { decodeLink, encodeLinkDump } from '../netlink/link.ts';
import { decodeLinkAddress, encodeAddressDump } from '../netlink/link-address.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/message.ts';
import { decodeNamespaceId, encodeNamespaceIdGet } from '../netlink/namespace-id.ts';
import { decodeNexthopObject, encodeNexthopDump, nexthopsOf } from '../netlink/nexthop-object.ts';
import {
  decodeRoute,
  encodeRouteAdd,
  encodeRouteDelete,
  encodeRouteDump,
  encodeRouteLookup,
  type Route,
} from '../netlink/route.ts';
import {
  decodeRule,
  encodeRuleAdd,
  encodeRuleDelete,
  encodeRuleDump,
  type RoutingRule,
} from '../netlink/routing-rule.ts';
import type { PlannedRoute, PlannedRule } from '../plan/plan.ts';
import { decodeReply } from './decode-reply.ts';
import { kernelErrorFromErrno } from './errno.ts';
import type { Routing } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { planOfRoute, planOfRule, routeOfPlan, ruleOfPlan } from './planned-routing.ts';

/** Asked for one by one: a dump of all families also brings multicast and MPLS tables. */
const FAMILIES: readonly Family[] = [4, 6];

/** `socket` is a NETLINK_ROUTE socket of the namespace that is meant. */
export function openRouting(socket: NetlinkSocket): Routing {
  const dump = <T>(object: string, request: NetlinkRequest, decode: (message: NetlinkMessage) => T): T[] => {
    const subject = { operation: 'list', object };
    const messages = socket.dump(request, subject);
    return decodeReply(subject, () => messages.map(decode));
  };
  const routes = (): Route[] => {
    const told = FAMILIES.flatMap((family) => dump(`IPv${family} routes`, encodeRouteDump(family), decodeRoute));
    if (!told.some(isByNumber)) return told;
    const objects = dump('next hops', encodeNexthopDump(), decodeNexthopObject);
    return told.map((route) =>
      isByNumber(route) && route.nexthopId !== undefined
        ? { ...route, nexthops: nexthopsOf(objects, route.nexthopId) }
        : route,
    );
  };
  const rules = (): RoutingRule[] =>
    FAMILIES.flatMap((family) => dump(`IPv${family} routing rules`, encodeRuleDump(family), decodeRule));
  const ownRoutes = (): PlannedRoute[] => routes().flatMap((route) => planOfRoute(route) ?? []);
  return {
    links: () => dump('links', encodeLinkDump(), decodeLink),
    addresses: () => FAMILIES.flatMap((family) => dump('addresses', encodeAddressDump(family), decodeLinkAddress)),
    namespaceIdOf: (pid) => namespaceIdOf(socket, pid),
    routes,
    rules,
    deviceTo: (destination, mark) => deviceTo(socket, destination, mark),
    ownRoutes,
    ownRules: () => rules().flatMap((rule) => planOfRule(rule) ?? []),
    addRoute: (route) => {
      const request = encodeRouteAdd(routeOfPlan(route), { ifExists: 'replace' });
      socket.request(request, { operation: 'add route', object: routeText(route) });
    },
    deleteRoute: (route) => {
      const subject = { operation: 'delete route', object: routeText(route) };
      // The kernel takes what a request leaves out as "any": without a gateway it would delete the device's other route.
      if (!ownRoutes().some((own) => isDeepStrictEqual(own, route))) {
        throw kernelErrorFromErrno(subject.operation, constants.errno.ESRCH, subject.object);
      }
      socket.request(encodeRouteDelete(routeOfPlan(route)), subject);
    },
    addRule: (rule) => {
      socket.request(encodeRuleAdd(ruleOfPlan(rule)), { operation: 'add rule', object: ruleText(rule) });
    },
    deleteRule: (rule) => {
      socket.request(encodeRuleDelete(ruleOfPlan(rule)), { operation: 'delete rule', object: ruleText(rule) });
    },
  };
}

function namespaceIdOf(socket: NetlinkSocket, pid: number): number | undefined {
  const subject = { operation: 'get namespace id', object: `process ${pid}` };
  try {
    const [answer] = socket.request(encodeNamespaceIdGet(pid), subject);
    return answer === undefined ? undefined : decodeReply(subject, () => decodeNamespaceId(answer));
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ESRCH') return undefined;
    throw error;
  }
}

/** All that the kernel says of its way. */
const isByNumber = ({ nexthopId, oif, nexthops }: Route): boolean =>
  nexthopId !== undefined && oif === undefined && nexthops === undefined;

/** Of a route that refuses the kernel answers with its error. */
const NO_WAY: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'];

function deviceTo(socket: NetlinkSocket, destination: Address, mark: number): number | undefined {
  const subject = { operation: 'look up route', object: formatAddress(destination) };
  try {
    const [answer] = socket.request(encodeRouteLookup(destination, mark), subject);
    return answer === undefined ? undefined : decodeReply(subject, () => decodeRoute(answer)).oif;
  } catch (error) {
    if (error instanceof KernelError && NO_WAY.includes(error.code)) return undefined;
    throw error;
  }
}

const routeText = ({ destination, table, metric }: PlannedRoute): string =>
  `${formatPrefix(destination)} table ${table} metric ${metric}`;

const ruleText = ({ family, priority }: PlannedRule): string => `IPv${family} rule ${priority}`;
