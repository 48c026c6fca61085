/** Where a line begins a column or two beside its neighbours, that is most often the mistake. */

/** A shift of more is meant. */
const MAX_SHIFT = 2;

/**
 * About the line that `offset` is in, and the lines around it that begin in nearly the same column; `undefined` where none of them
 * does. Lines count from 1, columns too.
 */
export function indentationHint(text: string, offset: number): string | undefined {
  const lines = text.split('\n');
  const at = text.slice(0, offset).split('\n').length - 1;
  const before = lastWritten(lines, at - 1);
  // A tab looks like columns, and is none.
  if (/^[ ]*\t/.test(lines[at] ?? '')) return `line ${at + 1} begins with a tab: put spaces in its place`;
  const own = columnOf(lines[at]);
  const other = before === undefined ? undefined : keyColumnOf(lines[before]);
  if (own === undefined || other === undefined || before === undefined) return undefined;
  const shift = Math.abs(own - other);
  if (shift === 0 || shift > MAX_SHIFT) return undefined;
  return `line ${at + 1} begins in column ${own}, and what stands above it in column ${other}: keys of one map begin in the same column`;
}

function lastWritten(lines: readonly string[], from: number): number | undefined {
  for (let line = from; line >= 0; line -= 1) if (columnOf(lines[line]) !== undefined) return line;
  return undefined;
}

/** `undefined` where nothing is written, or only a comment. */
function columnOf(line: string | undefined): number | undefined {
  const start = line?.search(/\S/) ?? -1;
  return start === -1 || line?.[start] === '#' ? undefined : start + 1;
}

/** Of the key, behind the dash of a list. */
function keyColumnOf(line: string | undefined): number | undefined {
  const [, lead = ''] = /^(\s*(?:- +)*)\S/.exec(line ?? '') ?? [];
  return columnOf(line) === undefined ? undefined : lead.length + 1;
}
