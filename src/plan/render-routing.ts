/**
 * Rules, routes and the xtables queue in the words of iproute2 and iptables: what a person would type to get the same.
 * The text is complete, so it also serves as the identity by which plans are compared.
 */
import { formatAddress, formatPrefix } from '../net/address.ts';
import { formatMark } from '../net/mark.ts';
import type { PlannedRoute, PlannedRule, XtablesQueue } from './plan.ts';

/** `-4 pref 17711 fwmark 0x81000000/0xff000000 lookup 17701`, to be read behind `ip rule add`. */
export function renderPlannedRule({
  family,
  priority,
  fwmark,
  from,
  suppressPrefixLength,
  action,
}: PlannedRule): string {
  return [
    `-${family} pref ${priority}`,
    ...(from === undefined ? [] : [`from ${formatPrefix(from)}`]),
    ...(fwmark === undefined ? [] : [`fwmark ${formatMark(fwmark.mark)}/${formatMark(fwmark.mask)}`]),
    action.kind === 'table' ? `lookup ${action.table}` : 'unreachable',
    ...(suppressPrefixLength === undefined ? [] : [`suppress_prefixlength ${suppressPrefixLength}`]),
  ].join(' ');
}

/** `deviceName` turns a kernel index into a name; without one the index is shown as `if2`. */
export function renderPlannedRoute(route: PlannedRoute, deviceName?: (index: number) => string | undefined): string {
  const { family, table, destination, metric, target } = route;
  const to = destination.length === 0 ? 'default' : formatPrefix(destination);
  const where = `table ${table} metric ${metric}`;
  if (target.kind === 'throw') return `-${family} throw ${to} ${where}`;
  const device = deviceName?.(target.deviceIndex) ?? `if${target.deviceIndex}`;
  return [
    `-${family} ${to}`,
    ...(target.gateway === undefined ? [] : [`via ${formatAddress(target.gateway)}`]),
    `dev ${device}`,
    ...(target.source === undefined ? [] : [`src ${formatAddress(target.source)}`]),
    where,
  ].join(' ');
}

/** To be read behind `iptables` and `ip6tables`. */
export function renderXtablesQueue({ number, bypass, mark, mask }: XtablesQueue): string {
  const match = `-m mark --mark ${formatMark(mark)}/${formatMark(mask)}`;
  return `-t mangle -A OUTPUT ${match} -j NFQUEUE --queue-num ${number}${bypass ? ' --queue-bypass' : ''}`;
}
