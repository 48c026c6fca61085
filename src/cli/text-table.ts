import { printable } from '../net/printable.ts';
import { displayWidth } from '../policy/caret.ts';
import type { Paint, Style } from './paint.ts';

export type Cell = string | { readonly text: string; readonly style: Style };

export interface TextTable {
  readonly indent?: string;
  readonly head?: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

const GAP = '  ';

/** Lines with their columns aligned by what the terminal shows; no blanks at the ends. */
export function renderTable({ indent = '', head, rows }: TextTable, paint: Paint): readonly string[] {
  const all = head === undefined ? rows : [head.map((text): Cell => ({ text, style: 'dim' })), ...rows];
  const shown = all.map((row) => row.map(plainCell));
  const columns = Math.max(0, ...shown.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    shown.reduce((widest, row) => Math.max(widest, displayWidth(row[column]?.text ?? '')), 0),
  );
  return shown.map((row) => {
    const last = row.findLastIndex(({ text }) => text !== '');
    const cells = row.slice(0, last + 1).map(({ text, style }, column) => {
      const padding = column === last ? '' : ' '.repeat((widths[column] ?? 0) - displayWidth(text));
      return `${style === undefined ? text : paint(text, style)}${padding}`;
    });
    return `${indent}${cells.join(GAP)}`.trimEnd();
  });
}

function plainCell(cell: Cell): { readonly text: string; readonly style?: Style } {
  return typeof cell === 'string' ? { text: printable(cell) } : { text: printable(cell.text), style: cell.style };
}
