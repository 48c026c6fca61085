import { isOwnRoute, isOwnRule } from '../kernel/planned-routing.ts';
import { DecodeError } from '../netlink/errors.ts';
import type { NetlinkMessage } from '../netlink/message.ts';
import { decodeRoute, RTM_DELROUTE, RTM_NEWROUTE } from '../netlink/route.ts';
import { decodeRule, RTM_DELRULE, RTM_NEWRULE } from '../netlink/routing-rule.ts';

/** Whether an event of NETLINK_ROUTE may change what we derive from the network. Routes and rules of our own do not. */
export function isNetworkChange(message: NetlinkMessage): boolean {
  return !isOwn(message);
}

/** Whether a route or rule of ours has gone, whoever did it: news, but none that may keep us busy. */
export function isOwnRemoval(message: NetlinkMessage): boolean {
  return (message.type === RTM_DELROUTE || message.type === RTM_DELRULE) && isOwn(message);
}

function isOwn(message: NetlinkMessage): boolean {
  try {
    if (message.type === RTM_NEWROUTE || message.type === RTM_DELROUTE) return isOwnRoute(decodeRoute(message));
    if (message.type === RTM_NEWRULE || message.type === RTM_DELRULE) return isOwnRule(decodeRule(message));
    return false;
  } catch (error) {
    // Of a family or a form that we do not know: better once too often.
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
