/** Diagnostics as text for a terminal: place, message, the line with a caret under the mistake, hint. */
import { counted } from '../net/counted.ts';
import { printableSource } from '../net/printable.ts';
import type { Diagnostic } from './diagnostic.ts';

export interface RenderOptions {
  readonly colour: boolean;
}

/** Columns of a source line that are shown; of longer ones the part around the mistake. */
const MAX_SHOWN_COLUMNS = 140;
const CONTEXT_BEFORE = 60;

const BOLD = '1';
const RED = '1;31';
const YELLOW = '1;33';
const CYAN = '36';

/** Each diagnostic as `file:line:col: error: message [code]` with its source line; a line with the count ends it. Empty for none. */
export function renderDiagnostics(list: readonly Diagnostic[], options: RenderOptions): string {
  if (list.length === 0) return '';
  const paint = (text: string, style: string): string => (options.colour ? `\u001b[${style}m${text}\u001b[0m` : text);
  return `${list.map((diagnostic) => renderOne(diagnostic, paint)).join('')}${countLine(list)}\n`;
}

type Paint = (text: string, style: string) => string;

function renderOne(diagnostic: Diagnostic, paint: Paint): string {
  const { file, line, column, severity, message, code, source, hint } = diagnostic;
  const style = severity === 'error' ? RED : YELLOW;
  const place = paint(`${printableSource(file)}:${line}:${column}:`, BOLD);
  const lines = [`${place} ${paint(`${severity}:`, style)} ${printableSource(message)} [${code}]`];
  if (source !== undefined) {
    const gutter = `${line}`.padStart(5);
    const { text, padding, carets } = excerpt(source, column, diagnostic.length);
    lines.push(`${gutter} | ${text}`, `${' '.repeat(gutter.length)} | ${padding}${paint(carets, style)}`);
  }
  if (hint !== undefined) lines.push(`${' '.repeat(5)} ${paint('hint:', CYAN)} ${printableSource(hint)}`);
  return `${lines.join('\n')}\n`;
}

function excerpt(source: string, column: number, length: number): { text: string; padding: string; carets: string } {
  const from = column - 1 > MAX_SHOWN_COLUMNS - 20 ? boundary(source, column - 1 - CONTEXT_BEFORE) : 0;
  const to = boundary(source, Math.min(source.length, from + MAX_SHOWN_COLUMNS));
  const before = printableSource(source.slice(from, column - 1));
  const marked = printableSource(source.slice(column - 1, Math.min(column - 1 + length, to)));
  const after = printableSource(source.slice(column - 1 + marked.length, to));
  const lead = from > 0 ? '...' : '';
  return {
    text: `${lead}${before}${marked}${after}${to < source.length ? '...' : ''}`,
    padding: lead.replace(/./g, ' ') + blank(before),
    carets: '^'.repeat(Math.max(1, displayWidth(marked))),
  };
}

/** White space as wide as the text on any terminal: tabs stay tabs. */
function blank(text: string): string {
  return text
    .split('\t')
    .map((part) => ' '.repeat(displayWidth(part)))
    .join('\t');
}

/** Never cuts a surrogate pair. */
function boundary(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at + 1 : at;
}

/** Terminal columns: combining marks take none, East Asian wide characters and emoji two (Unicode annex 11, in its main ranges). */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += ZERO_WIDTH.test(character) ? 0 : isWide(character.codePointAt(0) ?? 0) ? 2 : 1;
  return width;
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

const WIDE_RANGES: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

function isWide(codePoint: number): boolean {
  return WIDE_RANGES.some(([first, last]) => codePoint >= first && codePoint <= last);
}

function countLine(list: readonly Diagnostic[]): string {
  const errors = list.filter(({ severity }) => severity === 'error').length;
  const warnings = list.length - errors;
  const files = new Set(list.map(({ file }) => file)).size;
  const counts = [errors > 0 ? counted(errors, 'error') : '', warnings > 0 ? counted(warnings, 'warning') : ''];
  return `${counts.filter((count) => count !== '').join(' and ')} in ${counted(files, 'file')}`;
}
