/** `explain` for people: for each address the verdict first, then everything that led to it. */
import type { ExplainedFlow, ExplainedRule, Explanation } from '../api/explanation.ts';
import { printable } from '../net/printable.ts';
import { lastGoodNotes } from './last-good-notes.ts';
import { type Paint, painter, type Style } from './paint.ts';
import { type Cell, renderTable } from './text-table.ts';

const VERDICTS: Readonly<Record<ExplainedFlow['verdict'], readonly [text: string, style: Style]>> = {
  accept: ['allowed', 'green'],
  reject: ['refused', 'red'],
  drop: ['dropped', 'yellow'],
  queue: ['held', 'cyan'],
  untold: ['cannot be told', 'yellow'],
};

const OUTCOME_STYLES: Readonly<Record<ExplainedRule['outcome'], Style>> = {
  matched: 'green',
  'did not match': 'dim',
  'name not known': 'yellow',
  'not reached': 'dim',
  'not in force': 'dim',
};

/** `accept` may have a thousand entries; `--json` has them all. */
const SHOWN_ENTRIES = 16;

/** Ends with a newline. */
export function renderExplanation(explanation: Explanation, options: { readonly colour: boolean }): string {
  const paint = painter(options.colour);
  const { app, identity, layers, source, destination, nameNote, flows } = explanation;
  const receives = source === undefined ? undefined : `${printable(source)} -> ${printable(destination)}`;
  const subject = paint(printable(app ?? 'no application'), 'bold');
  const head = [
    receives === undefined
      ? `${subject} -> ${paint(printable(destination), 'bold')}`
      : `${paint(receives, 'bold')} of ${subject}`,
    `  ${printable(identity)}`,
    ...layers.map(({ layer, file }) => `  policy (${printable(layer)}): ${printable(file)}`),
    ...(nameNote === undefined ? [] : [`  name: ${printable(nameNote)}`]),
  ];
  const parts =
    flows.length === 0 ? [['No address: nothing to decide yet.']] : flows.map((flow) => flowLines(flow, paint));
  const notes = [
    ...lastGoodNotes(explanation),
    ...(flows.some(({ verdict }) => verdict === 'untold')
      ? ['note: until a daemon runs, names are not looked up for programs with a policy: start it, sudo pointsman up']
      : []),
  ];
  return `${[head, ...parts, ...(notes.length === 0 ? [] : [notes])].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function flowLines(flow: ExplainedFlow, paint: Paint): readonly string[] {
  const [word, style] = VERDICTS[flow.verdict];
  const cause = causeText(flow.cause);
  const because = printable(flow.reason);
  const place = flow.file === undefined ? '' : `${printable(flow.file)}:${flow.line ?? 1}`;
  const placed = because.includes(place) ? because : `${because}, ${place}`;
  return [
    `${printable(flow.address)}: ${paint(word, style)}${wayText(flow.way)}${cause}`,
    `  because ${placed}`,
    ...ambiguity(flow.sharedBy ?? []),
    ...section('rules', flow.rules.map(ruleCells), paint),
    ...section('accept', acceptRows(flow.accept ?? []), paint),
    ...section('uplinks', flow.uplinks.map(uplinkCells), paint),
    `  path: ${printable(flow.path)}`,
  ];
}

function causeText(cause: ExplainedFlow['cause']): string {
  switch (cause) {
    case 'no-uplink':
      return ', because no uplink is permitted';
    case 'other-device':
      return ', because it may not leave by the device that its program chose';
    case 'local-blocked':
      return ', because local destinations are blocked by its via';
    case 'own-tunnel':
      return ', because it would go into the very tunnel that its program carries';
    case 'denied':
    case undefined:
      return '';
  }
}

function ambiguity(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const listed = names.map(printable).join(' and ');
  return [
    `  ambiguous: this is the address of ${listed}, of which the rules say different things; the first rule decides for all`,
  ];
}

/** "uplink wifi" and "the system's route" are taken; "directly connected" describes, and "came in" is what was asked. */
function wayText(way: string | undefined): string {
  if (way === undefined || way === 'came in') return '';
  return way.startsWith('directly') ? `, ${printable(way)}` : ` by ${printable(way)}`;
}

function ruleCells({ index, layer, file, line, text, outcome }: ExplainedRule): readonly Cell[] {
  return [`${index + 1}`, { text: outcome, style: OUTCOME_STYLES[outcome] }, text, `${layer} ${file}:${line}`];
}

/** The entry that matched is always among them. */
function acceptRows(entries: readonly ExplainedRule[]): readonly (readonly Cell[])[] {
  const shown = entries.filter(({ outcome }, at) => at < SHOWN_ENTRIES || outcome === 'matched');
  const more = entries.length - shown.length;
  return [...shown.map(ruleCells), ...(more === 0 ? [] : [['', '', `and ${more} more`, '']])];
}

function uplinkCells({ uplink, taken, because }: Explanation['flows'][number]['uplinks'][number]): readonly Cell[] {
  return [uplink, taken ? { text: 'taken', style: 'green' } : { text: 'not taken', style: 'dim' }, because];
}

function section(title: string, rows: readonly (readonly Cell[])[], paint: Paint): readonly string[] {
  return rows.length === 0 ? [] : [`  ${title}:`, ...renderTable({ indent: '    ', rows }, paint)];
}
