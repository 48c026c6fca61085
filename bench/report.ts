/** Results as tables: for the terminal, and as the page that is kept. */
import { IDENTITY_METHOD, identityTables } from './identity-report.ts';
import { type AccountingResult, accountingTable, accountingTargets } from './measure-accounting.ts';
import { type ChangeoverResult, changeoverTable, changeoverTargets } from './measure-changeover.ts';
import { type BenchResults, type Environment, STATE, targetsOf } from './results.ts';
import type { Table } from './table.ts';
import { gigabits, megabytes, microseconds, milliseconds, type Target, times } from './target.ts';

export function reportText(results: BenchResults): string {
  return `${environmentLines(results).join('\n')}\n\n${textOf(tablesOf(results))}`;
}

const textOf = (tables: readonly Table[]): string =>
  tables.map(({ title, head, rows }) => `${title}\n\n${aligned([head, ...rows])}\n`).join('\n');

/** Of a run that measured nothing else. */
export function changeoverText(environment: Environment, results: readonly ChangeoverResult[]): string {
  const tables = [targetTable(changeoverTargets(results)), changeoverTable(results)];
  return `${machineLines(environment).join('\n')}\n\n${textOf(tables)}`;
}

/** Of a run that measured nothing else. */
export function accountingText(environment: Environment, result: AccountingResult): string {
  const tables = [targetTable(accountingTargets(result)), accountingTable(result)];
  return `${machineLines(environment).join('\n')}\n\n${textOf(tables)}`;
}

export function reportMarkdown(results: BenchResults): string {
  const sections = tablesOf(results).flatMap(({ title, head, rows, note }) => [
    `## ${title}`,
    '',
    ...(note === undefined ? [] : [note, '']),
    ...[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ]);
  return [
    '# Benchmark results',
    '',
    'Written by `npm run bench -- --write`.',
    '',
    ...environmentLines(results).map((line) => `- ${line}`),
    '',
    ...METHOD,
    '',
    ...sections,
  ].join('\n');
}

/** Why the numbers are what they are; kept beside the code that makes it true. */
const METHOD: readonly string[] = [
  '## Method',
  '',
  'One server and several clients, each a network namespace, joined by veth pairs. Each client is in one state for the whole run;',
  'the load goes round the clients by turns, back and forth. Ratios are those of one round, the table shows their median:',
  'a busy machine slows a whole round. The load is C (`bench/load`), so that the kernel is measured and not the load. The server',
  'empties its backlog once a millisecond and never sleeps in `accept`, since waking a sleeping processor would be in some',
  'connects and not in others; without network and without wake-ups a whole connect takes microseconds, which makes each ratio',
  'the strictest that there is. `no rules` has no connection tracking; `conntrack alone` is one rule on `ct state`, and the baseline.',
  'The daemon is the real one. Applications are told by user where the kernel decides, unless a state says otherwise; by executable',
  'in the slow path, with a daemon that does without marks on sockets (`POINTSMAN_WITHOUT=bpf`). Rules are',
  'of 50 shapes, each of 2 to 4 rules with addresses, networks and groups (no names: there is no DNS here). From cold: from',
  'starting the program (Node, reading, checking, compiling, applying; files in the page cache, no state of an earlier run) until',
  'a connection is refused by a policy. One changed file: from before it is written until a new connection is treated otherwise.',
  '',
  ...IDENTITY_METHOD,
];

function environmentLines({ environment, quick, rounds, connections }: BenchResults): string[] {
  return [
    ...machineLines(environment),
    `command: ${environment.command}${quick ? ' (quick: too few rounds to rely on)' : ''}; ${rounds} rounds of ${connections} connections`,
  ];
}

const machineLines = ({ date, version, kernel, processors, processor, node, queue }: Environment): string[] => [
  `pointsman ${version}, ${date}`,
  `Linux ${kernel}, ${processors} x ${processor}, Node ${node}, queue by ${queue}`,
];

function tablesOf(results: BenchResults): Table[] {
  return [
    targetTable(targetsOf(results)),
    connectTable(results),
    ...identityTables(results.identity),
    throughputTable(results),
    coldTable(results),
    changeTable(results),
    changeoverTable(results.changeover),
  ];
}

const targetTable = (targets: readonly Target[]): Table => ({
  title: 'Targets',
  head: ['what', 'target', 'found', ''],
  rows: targets.map(({ what, target, found, met }) => [
    what,
    target,
    found,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ]),
});

function connectTable({ connect, manyApps }: BenchResults): Table {
  const queueLoop = connect.find(({ name }) => name === STATE.acceptAll)?.p50Us;
  const slowPath = connect.find(({ name }) => name === STATE.slowPath)?.p50Us;
  const apart = queueLoop === undefined || slowPath === undefined ? '' : times(slowPath / queueLoop);
  return {
    title: 'TCP connect, microseconds',
    note: `Ratios are to "${STATE.conntrack}". Many applications: ${manyApps}, else 10. The slow path's p50 is ${apart} that of the C loop.`,
    head: ['state', 'p50', 'p90', 'p99', 'p50 ratio', 'p99 ratio', 'failed'],
    rows: connect.map(({ name, p50Us, p90Us, p99Us, p50Ratio, p99Ratio, failed }) => [
      name,
      ...[p50Us, p90Us, p99Us].map(microseconds),
      ...[p50Ratio, p99Ratio].map(times),
      `${failed}`,
    ]),
  };
}

const throughputTable = ({ throughput }: BenchResults): Table => ({
  title: 'Throughput of one established TCP connection',
  head: ['state', 'Gbit/s', 'ratio'],
  rows: throughput.map(({ name, bitsPerSecond, ratio }) => [name, gigabits(bitsPerSecond), times(ratio)]),
});

const coldTable = ({ cold }: BenchResults): Table => ({
  title: 'From cold, and memory of the daemon',
  head: ['applications', 'in force after', 'resident', 'peak', 'repetitions'],
  rows: cold.map(({ apps, untilEnforcingMs, residentBytes, peakBytes, repetitions }) => [
    `${apps}`,
    milliseconds(untilEnforcingMs),
    megabytes(residentBytes),
    megabytes(peakBytes),
    `${repetitions}`,
  ]),
});

const changeTable = ({ change }: BenchResults): Table => ({
  title: 'One changed file, until it is live',
  head: ['applications', 'first', 'median', 'slowest', 'changes'],
  rows: [
    [`${change.apps}`, ...[change.firstMs, change.medianMs, change.slowestMs].map(milliseconds), `${change.changes}`],
  ],
});

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
