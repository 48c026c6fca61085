/**
 * Who a file is about, read line by line where YAML could not be read: a broken policy must still block its application.
 * It may find an entry too many, never one too few of what is plainly written.
 */
import { MAX_LIST_ENTRIES } from './document.ts';
import { type Children, MATCH_KINDS, type Match } from './model.ts';
import { APP_PATTERN } from './schema.ts';
import type { SourceText } from './source-text.ts';

export interface Identity {
  readonly app?: string;
  readonly match: readonly Match[];
  readonly children?: Children;
}

/** Longer lines are no `app` and no `match` entry. */
const MAX_LINE_LENGTH = 5000;
const APP_LINE = /^app[ \t]*:[ \t]*["']?([^\s"'#]+)["']?[ \t]*(?:#.*)?$/;
const CHILDREN_LINE = /^children[ \t]*:[ \t]*["']?same["']?[ \t]*(?:#.*)?$/;
/** Of `script`, `exec` and `cgroup`, whose values are paths; of all others. */
const PATH_LINE = /^[ \t]*-[ \t{]*(script|exec|cgroup)[ \t]*:[ \t]*["']?(\/[^"'#}\n]+)/;
const NAME_LINE =
  /^[ \t]*-[ \t{]*(package|unit|container|flatpak|snap|desktop|user|group|kernel)[ \t]*:[ \t]*["']?([^\s"'#}]+)/;

export function recoverIdentity(source: SourceText): Identity {
  let app: string | undefined;
  let children: Children | undefined;
  const match: Match[] = [];
  for (const [index, from] of source.lineStarts.entries()) {
    const to = source.lineStarts[index + 1] ?? source.text.length + 1;
    if (to - from > MAX_LINE_LENGTH) continue;
    const line = source.text.slice(from, to - 1).trimEnd();
    const found = APP_LINE.exec(line)?.[1];
    if (app === undefined && found !== undefined && APP_PATTERN.test(found)) app = found;
    if (CHILDREN_LINE.test(line)) children ??= { are: 'same', at: { file: source.file, line: index + 1, column: 1 } };
    const [, word, value] = PATH_LINE.exec(line) ?? NAME_LINE.exec(line) ?? [];
    const kind = MATCH_KINDS.find((known) => known === word);
    if (kind === undefined || value === undefined || match.length >= MAX_LIST_ENTRIES) continue;
    const at = { file: source.file, line: index + 1, column: line.indexOf('-') + 1 };
    match.push({ kind, value: value.trimEnd(), at });
  }
  return { ...(app !== undefined && { app }), match, ...(children !== undefined && { children }) };
}
