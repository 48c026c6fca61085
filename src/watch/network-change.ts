import { isOwnRoute, isOwnRule } from '../kernel/planned-routing.ts';
import { DecodeError } from '../netlink/errors.ts';
import type { NetlinkMessage } from '../netlink/message.ts';
import { decodeRoute, RTM_NEWROUTE } from '../netlink/route.ts';
import { decodeRule, RTM_NEWRULE } from '../netlink/routing-rule.ts';

/**
 * Whether an event of NETLINK_ROUTE may change what we derive from the network. Routes and rules that we have just added
 * do not; that one of ours has gone is news, whoever did it.
 */
export function isNetworkChange(message: NetlinkMessage): boolean {
  try {
    if (message.type === RTM_NEWROUTE) return !isOwnRoute(decodeRoute(message));
    if (message.type === RTM_NEWRULE) return !isOwnRule(decodeRule(message));
    return true;
  } catch (error) {
    // Of a family or a form that we do not know: better once too often.
    if (error instanceof DecodeError) return true;
    throw error;
  }
}
