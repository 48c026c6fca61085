/** The demo's report as text for a terminal. */
import { join } from 'node:path';
import type { DemoReport, DemoRow } from './demo.ts';
import type { DemoVerdict } from './demo-steps.ts';
import { labWords } from './lab-words.ts';

export interface DemoTableOptions {
  readonly colour: boolean;
  /** How the person calls the program, for the lines to copy: "sudo ./pointsman". */
  readonly commandName: string;
  readonly id: string;
}

const COLUMNS = ['PROGRAM', 'DESTINATION', 'VERDICT', 'UPLINK', 'SOURCE SEEN', 'DECIDED BY'] as const;
const OUTAGE_COLUMNS = ['LINK', ...COLUMNS] as const;
// ECMA-48 SGR
const COLOURS: Readonly<Record<DemoVerdict, string>> = {
  allowed: '\u001b[32m',
  refused: '\u001b[31m',
  dropped: '\u001b[33m',
  'no uplink': '\u001b[35m',
};
const ALARM = '\u001b[1;31m';
const RESET = '\u001b[0m';

/** Tables, disagreements, notes, and what to try next; ends with a newline. */
export function renderDemo(report: DemoReport, options: DemoTableOptions): string {
  const policyDir = join(report.rootDir, 'etc/pointsman');
  const lines = [
    ...table(
      COLUMNS,
      report.rows.map((row) => ({ row, cells: cells(row, policyDir) })),
      options,
    ),
    '',
    'What happens when wifi goes (the vpn takes it, too), when it is back, and when the vpn goes:',
    '',
    ...table(
      OUTAGE_COLUMNS,
      report.outage.map((row) => ({
        row,
        cells: [`${row.after.uplink} ${row.after.change}`, ...cells(row, policyDir)],
      })),
      options,
    ),
    '',
    `DECIDED BY is relative to ${policyDir}.`,
    ...report.notes.map((note) => `Note: ${note.about}: ${note.text}.`),
    summary(report, options),
    '',
    ...nextSteps(policyDir, options),
  ];
  return `${lines.join('\n')}\n`;
}

function cells(row: DemoRow, policyDir: string): readonly string[] {
  const file = row.decidedBy.startsWith(`${policyDir}/`) ? row.decidedBy.slice(policyDir.length + 1) : row.decidedBy;
  return [row.program, row.destination, row.verdict, row.uplink ?? '-', row.sourceSeen ?? '-', file];
}

interface TableRow {
  readonly row: DemoRow;
  readonly cells: readonly string[];
}

function table(columns: readonly string[], rows: readonly TableRow[], { colour }: DemoTableOptions): readonly string[] {
  const widths = columns.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells: of }) => of[column]?.length ?? 0)),
  );
  const verdictFrom = widths.slice(0, columns.indexOf('VERDICT')).reduce((sum, width) => sum + width + 2, 0);
  const rowLines = ({ row, cells: of }: TableRow): readonly string[] => {
    const text = line(of, widths);
    const verdict = paint(row.verdict, COLOURS[row.verdict], colour);
    const problems = row.problems.map((problem) => paint(`  ! ${problem}`, ALARM, colour));
    return [`${text.slice(0, verdictFrom)}${verdict}${text.slice(verdictFrom + row.verdict.length)}`, ...problems];
  };
  return [line(columns, widths), ...rows.flatMap(rowLines)];
}

function line(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

function summary({ ok, ...report }: DemoReport, { colour }: DemoTableOptions): string {
  const rows = [...report.rows, ...report.outage];
  const wrong = rows.filter((row) => row.problems.length > 0).length;
  if (ok) return `${rows.length} of ${rows.length} as the policies say.`;
  return paint(`${wrong} of ${rows.length} not as expected; see the lines with "!".`, ALARM, colour);
}

function nextSteps(policyDir: string, { commandName: name, id }: DemoTableOptions): readonly string[] {
  const rows = [
    [`${name} ${labWords(id, 'exec -- curl http://www.example.org/')}`, 'any program, run on the lab device'],
    [`${name} ${labWords(id, 'exec -- bash')}`, 'a shell there'],
    [`${name} ${labWords(id, 'link wifi loss 30%')}`, 'a bad day; "clear" ends it'],
    [`${name} explain --lab ${id} curl tracker.example.org:80`, 'why, with file and line'],
    [`$EDITOR ${join(policyDir, 'policies/org.example.Browser.yaml')}`, 'change a policy, it holds at once'],
    [`${name} ${labWords(id, 'down')}`, 'remove all of it'],
  ] as const;
  const width = Math.max(...rows.map(([command]) => command.length));
  return ['Try next:', ...rows.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`)];
}

function paint(text: string, colour: string, enabled: boolean): string {
  return enabled ? `${colour}${text}${RESET}` : text;
}
