/** A plan as the lines that ip(8), iptables(8) and nft(8) would show: for people and for `plan --json`. */
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from './change.ts';
import type { NftCommand } from './nft/command.ts';
import { renderRuleset } from './nft/render.ts';
import type { Plan } from './plan.ts';
import { renderPlannedRoute, renderPlannedRule, renderXtablesQueue } from './render-routing.ts';

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
  { revision, nowMs }: { readonly revision: number; readonly nowMs: MonotonicMs },
): PlanText {
  return {
    revision,
    nft: renderRuleset(plan.nft, nowMs),
    rules: plan.rules.map(renderPlannedRule),
    routes: plan.routes.map(renderPlannedRoute),
    xtables: plan.xtablesQueue === undefined ? [] : renderXtablesQueue(plan.xtablesQueue),
    diff: changes.flatMap(changeText),
  };
}

function changeText(change: Change): string[] {
  switch (change.kind) {
    case 'add route':
      return [`+ ${renderPlannedRoute(change.route)}`];
    case 'delete route':
      return [`- ${renderPlannedRoute(change.route)}`];
    case 'add rule':
      return [`+ ${renderPlannedRule(change.rule)}`];
    case 'delete rule':
      return [`- ${renderPlannedRule(change.rule)}`];
    case 'add xtables queue':
      return renderXtablesQueue(change.queue).map((line) => `+ ${line}`);
    case 'delete xtables queue':
      return renderXtablesQueue(change.queue).map((line) => `- ${line}`);
    case 'set socket ways':
      return change.ways.size === 0 ? [] : [`+ ways of the sockets of ${change.ways.size} programs`];
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
