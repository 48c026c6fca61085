/** `route` for people: rule by rule the way of both families, and what led to it. */
import type { FamilyRoute, RouteReport, RuleRoute } from '../api/route.ts';
import { printable } from '../net/printable.ts';
import { lastGoodNotes } from './last-good-notes.ts';
import { type Paint, painter } from './paint.ts';
import { trafficNotes, trafficText } from './render-traffic.ts';
import { type Cell, renderTable } from './text-table.ts';

/** Ends with a newline. */
export function renderRoute(report: RouteReport, options: { readonly colour: boolean }): string {
  const paint = painter(options.colour);
  const { app, identity, blocked, rules, traffic } = report;
  const head = [
    paint(printable(app ?? 'no application'), 'bold'),
    `  ${printable(identity)}`,
    ...(blocked === undefined ? [] : [`  ${paint('everything is refused', 'red')}: ${printable(blocked)}`]),
  ];
  const open = [
    ...(traffic.length === 0 && report.connectionsUnknown === undefined ? ['No connections are open.'] : []),
    ...traffic.map(({ way, ...of }) => `Open by ${printable(way)}: ${trafficText(of)}.`),
    ...trafficNotes(report),
  ];
  const notes = rules.some(({ local }) => local !== undefined)
    ? ['Local are link-local addresses, and directly connected networks of private addresses.']
    : [];
  const parts = [head, ...rules.map((rule) => ruleLines(rule, paint)), [...open, ...notes, ...lastGoodNotes(report)]];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function ruleLines({ rule, file, line, via, local, v4, v6 }: RuleRoute, paint: Paint): readonly string[] {
  const place = file.startsWith('/') || line > 1 ? `${file}:${line}` : file;
  const same = JSON.stringify(v4) === JSON.stringify(v6);
  const families: (readonly [string, FamilyRoute])[] = same
    ? [['', v4]]
    : [
        ['IPv4 ', v4],
        ['IPv6 ', v6],
      ];
  return [
    `${printable(rule)}  ${paint(printable(place), 'dim')}`,
    ...(via === undefined ? [] : [`  ${printable(via)}`]),
    ...families.flatMap(([family, { way, uplinks }]) => [
      `  ${family}-> ${paint(printable(way), way.startsWith('refused') || way === 'dropped' ? 'red' : 'green')}`,
      ...renderTable({ indent: '       ', rows: uplinks.map(uplinkCells) }, paint),
    ]),
    ...(local === undefined ? [] : [`  local -> ${paint(printable(local), local === 'refused' ? 'red' : 'green')}`]),
  ];
}

const uplinkCells = ({ uplink, taken, because }: FamilyRoute['uplinks'][number]): readonly Cell[] => [
  uplink,
  { text: taken ? 'taken' : 'not taken', style: taken ? 'green' : 'dim' },
  because,
];
