/**
 * Who a file is about, read line by line where YAML could not be read: a broken policy must still block its application.
 * It may find an entry too many, never one too few of what is plainly written.
 */
import { MAX_LIST_ENTRIES } from './document.ts';
import type { Match } from './model.ts';
import { APP_PATTERN } from './schema.ts';
import type { SourceText } from './source-text.ts';

export interface Identity {
  readonly app?: string;
  readonly match: readonly Match[];
}

/** Longer lines are no `app` and no `match` entry. */
const MAX_LINE_LENGTH = 5000;
const APP_LINE = /^app[ \t]*:[ \t]*["']?([^\s"'#]+)["']?[ \t]*(?:#.*)?$/;
const MATCH_LINE =
  /^[ \t]*-[ \t{]*(?:(exec|cgroup)[ \t]*:[ \t]*["']?(\/[^"'#}\n]+)|(unit|user)[ \t]*:[ \t]*["']?([^\s"'#}]+))/;

export function recoverIdentity(source: SourceText): Identity {
  let app: string | undefined;
  const match: Match[] = [];
  for (const [index, from] of source.lineStarts.entries()) {
    const to = source.lineStarts[index + 1] ?? source.text.length + 1;
    if (to - from > MAX_LINE_LENGTH) continue;
    const line = source.text.slice(from, to - 1).trimEnd();
    const found = APP_LINE.exec(line)?.[1];
    if (app === undefined && found !== undefined && APP_PATTERN.test(found)) app = found;
    const [, pathKind, path, nameKind, name] = MATCH_LINE.exec(line) ?? [];
    const kind = pathKind ?? nameKind;
    const value = path?.trimEnd() ?? name;
    if (kind === undefined || value === undefined || match.length >= MAX_LIST_ENTRIES) continue;
    match.push(matchOf(kind, value, { file: source.file, line: index + 1, column: line.indexOf('-') + 1 }));
  }
  return app === undefined ? { match } : { app, match };
}

function matchOf(kind: string, value: string, at: Match['at']): Match {
  switch (kind) {
    case 'exec':
    case 'cgroup':
      return { kind, path: value, at };
    case 'unit':
      return { kind, unit: value, at };
    default:
      return { kind: 'user', user: value, at };
  }
}
