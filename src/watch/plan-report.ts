/** A plan as the lines that ip(8), iptables(8) and nft(8) would show: for people and for `plan --json`. */
import { formatAddress, formatPrefix } from '../net/address.ts';
import { formatMark } from '../net/mark.ts';
import type { Change } from '../plan/change.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import { renderRuleset } from '../plan/nft/render.ts';
import type { Plan, PlannedRoute, PlannedRule, XtablesQueue } from '../plan/plan.ts';
import { ROUTE_PROTOCOL } from '../plan/reserved.ts';

export interface PlanText {
  readonly revision: number;
  readonly nft: string;
  readonly rules: readonly string[];
  readonly routes: readonly string[];
  readonly xtables: readonly string[];
  /** One line a change, `+` or `-` first; empty where the kernel holds the plan. */
  readonly diff: readonly string[];
}

/** `changes` lead from what the kernel holds to the plan. */
export function planText(
  plan: Plan,
  changes: readonly Change[],
  { revision, nowMs }: { readonly revision: number; readonly nowMs: number },
): PlanText {
  return {
    revision,
    nft: renderRuleset(plan.nft, nowMs),
    rules: plan.rules.map(ruleText),
    routes: plan.routes.map(routeText),
    xtables: plan.xtablesQueue === undefined ? [] : queueText(plan.xtablesQueue),
    diff: changes.flatMap(changeText),
  };
}

const familyFlag = (family: 4 | 6): string => (family === 6 ? 'ip -6' : 'ip');

/** As an argument of `ip rule add`. */
export function ruleText({ family, priority, fwmark, from, suppressPrefixLength, action }: PlannedRule): string {
  const parts = [
    `${familyFlag(family)} rule pref ${priority}`,
    `from ${from === undefined ? 'all' : formatPrefix(from)}`,
    ...(fwmark === undefined ? [] : [`fwmark ${formatMark(fwmark.mark)}/${formatMark(fwmark.mask)}`]),
    action.kind === 'table' ? `lookup ${action.table}` : action.kind,
    ...(suppressPrefixLength === undefined ? [] : [`suppress_prefixlength ${suppressPrefixLength}`]),
    `protocol ${ROUTE_PROTOCOL}`,
  ];
  return parts.join(' ');
}

/** As an argument of `ip route add`. */
export function routeText({ family, table, destination, metric, target }: PlannedRoute): string {
  const to = destination.length === 0 ? 'default' : formatPrefix(destination);
  const way =
    target.kind === 'throw'
      ? []
      : [
          ...(target.gateway === undefined ? [] : [`via ${formatAddress(target.gateway)}`]),
          `ifindex ${target.deviceIndex}`,
          ...(target.source === undefined ? [] : [`src ${formatAddress(target.source)}`]),
        ];
  const head = target.kind === 'throw' ? `throw ${to}` : to;
  return [
    `${familyFlag(family)} route ${head}`,
    ...way,
    `table ${table} metric ${metric} protocol ${ROUTE_PROTOCOL}`,
  ].join(' ');
}

function queueText({ number, bypass, mark, mask }: XtablesQueue): string[] {
  const rule = `-t mangle -A OUTPUT -m mark --mark ${formatMark(mark)}/${formatMark(mask)} -j NFQUEUE --queue-num ${number}${bypass ? ' --queue-bypass' : ''}`;
  return [`iptables ${rule}`, `ip6tables ${rule}`];
}

function changeText(change: Change): string[] {
  switch (change.kind) {
    case 'add route':
      return [`+ ${routeText(change.route)}`];
    case 'delete route':
      return [`- ${routeText(change.route)}`];
    case 'add rule':
      return [`+ ${ruleText(change.rule)}`];
    case 'delete rule':
      return [`- ${ruleText(change.rule)}`];
    case 'add xtables queue':
      return queueText(change.queue).map((line) => `+ ${line}`);
    case 'delete xtables queue':
      return queueText(change.queue).map((line) => `- ${line}`);
    case 'nft':
      return change.commands.map(commandText);
  }
}

function commandText(command: NftCommand): string {
  switch (command.kind) {
    case 'replace table':
      return `+ nft table inet ${command.ruleset.table} (missing, or not as it should be)`;
    case 'delete table':
      return `- nft table inet ${command.table}`;
    case 'add chain':
      return `+ nft chain ${command.chain.name}`;
    case 'flush chain':
      return `- nft rules of chain ${command.chain}`;
    case 'delete chain':
      return `- nft chain ${command.chain}`;
    case 'add rule':
      return `+ nft rule in chain ${command.chain}`;
    case 'add set':
      return `+ nft set ${command.set.name}`;
    case 'delete set':
      return `- nft set ${command.set}`;
    case 'flush set':
      return `- nft elements of set ${command.set}`;
    case 'add map':
      return `+ nft map ${command.map.name}`;
    case 'delete map':
      return `- nft map ${command.map}`;
    case 'add elements':
      return `+ nft ${command.elements.length} elements in set ${command.set.name}`;
    case 'delete elements':
      return `- nft ${command.elements.length} elements in set ${command.set.name}`;
    case 'add map elements':
      return `+ nft ${command.elements.length} elements in map ${command.map.name}`;
    case 'delete map elements':
      return `- nft ${command.elements.length} elements in map ${command.map.name}`;
  }
}
