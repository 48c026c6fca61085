/**
 * Rules, routes and the xtables queue as the commands of iproute2 and iptables that would make them. The text is complete, so
 * it also serves as the identity by which plans are compared.
 */
import { formatAddress, formatPrefix } from '../net/address.ts';
import { formatMark } from '../net/mark.ts';
import type { PlannedRoute, PlannedRule, XtablesQueue } from './plan.ts';
import { ROUTE_PROTOCOL } from './reserved.ts';

export function renderPlannedRule({
  family,
  priority,
  fwmark,
  from,
  suppressPrefixLength,
  action,
}: PlannedRule): string {
  return [
    `ip -${family} rule add pref ${priority} from ${from === undefined ? 'all' : formatPrefix(from)}`,
    ...(fwmark === undefined ? [] : [`fwmark ${formatMark(fwmark.mark)}/${formatMark(fwmark.mask)}`]),
    action.kind === 'table' ? `lookup ${action.table}` : 'unreachable',
    ...(suppressPrefixLength === undefined ? [] : [`suppress_prefixlength ${suppressPrefixLength}`]),
    `protocol ${ROUTE_PROTOCOL}`,
  ].join(' ');
}

/** Devices are shown by index, as `if2`, which ip(8) takes for a name. */
export function renderPlannedRoute({ family, table, destination, metric, target }: PlannedRoute): string {
  const to = destination.length === 0 ? 'default' : formatPrefix(destination);
  const tail = `table ${table} metric ${metric} protocol ${ROUTE_PROTOCOL}`;
  if (target.kind === 'throw') return `ip -${family} route add throw ${to} ${tail}`;
  return [
    `ip -${family} route add ${to}`,
    ...(target.gateway === undefined ? [] : [`via ${formatAddress(target.gateway)}`]),
    `dev if${target.deviceIndex}`,
    ...(target.source === undefined ? [] : [`src ${formatAddress(target.source)}`]),
    tail,
  ].join(' ');
}

/** One command for each chain and family. */
export function renderXtablesQueue({ number, bypass, mark, mask }: XtablesQueue): readonly string[] {
  const match = `-m mark --mark ${formatMark(mark)}/${formatMark(mask)}`;
  const rules = ['OUTPUT', 'INPUT'].map(
    (chain) => `-t mangle -A ${chain} ${match} -j NFQUEUE --queue-num ${number}${bypass ? ' --queue-bypass' : ''}`,
  );
  return rules.flatMap((rule) => [`iptables ${rule}`, `ip6tables ${rule}`]);
}
