/** The demo's report as text for a terminal. */
import { join } from 'node:path';
import type { DemoReport, DemoRow } from './demo.ts';
import type { DemoVerdict } from './demo-steps.ts';

export interface DemoTableOptions {
  readonly colour: boolean;
  /** How the person calls the program, for the lines to copy: "sudo ./pointsman". */
  readonly commandName: string;
}

const COLUMNS = ['PROGRAM', 'DESTINATION', 'VERDICT', 'UPLINK', 'SOURCE SEEN', 'DECIDED BY'] as const;
const VERDICT_COLUMN = 2;
// ECMA-48 SGR
const COLOURS: Readonly<Record<DemoVerdict, string>> = {
  allowed: '\u001b[32m',
  refused: '\u001b[31m',
  dropped: '\u001b[33m',
  'no uplink': '\u001b[35m',
};
const ALARM = '\u001b[1;31m';
const RESET = '\u001b[0m';

/** Table, disagreements, notes, and what to try next; ends with a newline. */
export function renderDemo(report: DemoReport, options: DemoTableOptions): string {
  const policyDir = join(report.rootDir, 'etc/pointsman');
  const table = report.rows.map((row) => cells(row, policyDir));
  const widths = COLUMNS.map((title, column) =>
    Math.max(title.length, ...table.map((row) => row[column]?.length ?? 0)),
  );
  const lines = [
    line(COLUMNS, widths),
    ...report.rows.flatMap((row, index) => rowLines(row, line(table[index] ?? [], widths), widths, options)),
    '',
    `DECIDED BY is relative to ${policyDir}.`,
    ...report.notes.map((note) => `Note: ${note.about}: ${note.text}.`),
    summary(report, options),
    '',
    ...nextSteps(report.rootDir, policyDir, options.commandName),
  ];
  return `${lines.join('\n')}\n`;
}

function cells(row: DemoRow, policyDir: string): readonly string[] {
  const file = row.decidedBy.startsWith(`${policyDir}/`) ? row.decidedBy.slice(policyDir.length + 1) : row.decidedBy;
  return [row.program, row.destination, row.verdict, row.uplink ?? '-', row.sourceSeen ?? '-', file];
}

function line(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

function rowLines(
  row: DemoRow,
  text: string,
  widths: readonly number[],
  { colour }: DemoTableOptions,
): readonly string[] {
  const problems = row.problems.map((problem) => paint(`  ! ${problem}`, ALARM, colour));
  const from = widths.slice(0, VERDICT_COLUMN).reduce((sum, width) => sum + width + 2, 0);
  const verdict = paint(row.verdict, COLOURS[row.verdict], colour);
  return [`${text.slice(0, from)}${verdict}${text.slice(from + row.verdict.length)}`, ...problems];
}

function summary({ ok, rows }: DemoReport, { colour }: DemoTableOptions): string {
  const wrong = rows.filter((row) => row.problems.length > 0).length;
  if (ok) return `${rows.length} of ${rows.length} as the policies say.`;
  return paint(`${wrong} of ${rows.length} not as expected; see the lines with "!".`, ALARM, colour);
}

function nextSteps(rootDir: string, policyDir: string, name: string): readonly string[] {
  const rows = [
    [`${name} lab exec -- curl http://www.example.org/`, 'any program, run on the lab device'],
    [`${name} lab exec -- bash`, 'a shell there'],
    [`${name} explain --root ${rootDir} --exe /usr/bin/curl --to tracker.example.org:80`, 'why, with file and line'],
    [`$EDITOR ${join(policyDir, 'policies/org.example.Browser.yaml')}`, 'change a policy, it holds at once'],
    [`${name} lab down`, 'remove all of it'],
  ] as const;
  const width = Math.max(...rows.map(([command]) => command.length));
  return ['Try next:', ...rows.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`)];
}

function paint(text: string, colour: string, enabled: boolean): string {
  return enabled ? `${colour}${text}${RESET}` : text;
}
