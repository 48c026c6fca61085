import type { PlanReport } from '../api/request.ts';
import { printable, printableLines } from '../net/printable.ts';
import { painter, type Style } from './paint.ts';

export interface PlanTextOptions {
  readonly colour: boolean;
  readonly nft: boolean;
  readonly diff: boolean;
}

/** All that should exist, or with `nft` the ruleset alone, or with `diff` how what exists differs. Ends with a newline. */
export function renderPlan(plan: PlanReport, { colour, nft, diff }: PlanTextOptions): string {
  const paint = painter(colour);
  const parts: string[] = [];
  if (nft) parts.push(printableLines(plan.nft.trimEnd()));
  if (diff) {
    const lines = plan.diff.map((line) => paint(printable(line), diffStyle(line)));
    parts.push(lines.length === 0 ? 'No difference: the kernel holds what the files say.' : lines.join('\n'));
  }
  if (parts.length === 0) parts.push(overview(plan));
  return `${parts.join('\n\n')}\n`;
}

function overview({ nft, rules, routes, xtables }: PlanReport): string {
  const lists: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ['Routing rules', rules],
    ['Routes', routes],
    ['iptables rules', xtables],
    ['nftables', nft.trimEnd().split('\n')],
  ];
  return lists
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [`${title}:`, ...lines.map((line) => `  ${printable(line)}`.trimEnd())].join('\n'))
    .join('\n\n');
}

function diffStyle(line: string): Style {
  if (line.startsWith('+')) return 'green';
  return line.startsWith('-') ? 'red' : 'dim';
}
