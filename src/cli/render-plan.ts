import type { PlanReport } from '../api/request.ts';
import { printable, printableLines } from '../net/printable.ts';
import { painter, type Style } from './paint.ts';
import { renderTable } from './text-table.ts';
import type { WrittenStaticPlan } from './write-static-plan.ts';

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

/** Where it is, what holds with it, and whom it cannot tell. */
export function renderStaticPlan({ file, format, whenAway, untold }: WrittenStaticPlan, colour: boolean): string {
  const lines = [`${printable(file)} is written (format ${format}).`];
  if (untold.length === 0)
    lines.push(
      'Until the daemon runs, users and groups that policies name are decided by their rules, all else by the default.',
    );
  else {
    lines.push(
      whenAway === 'open'
        ? 'Until the daemon runs, users and groups are decided by their rules, and all else passes (whenAway: open), these too, which only the daemon tells:'
        : 'Until the daemon runs, all but loopback, answers and housekeeping is refused (whenAway: closed): any program may be one of these, which only the daemon tells:',
      '',
      ...renderTable(
        { head: ['APPLICATION', 'MATCHED BY'], rows: untold.map(({ app, match }) => [app, match.join(', ')]) },
        painter(colour),
      ),
      '',
    );
  }
  lines.push(`Load it before the network comes up: nft -f ${printable(file)}`);
  lines.push('Make it anew when the files change. The daemon takes its place when it starts.');
  return `${lines.join('\n')}\n`;
}
