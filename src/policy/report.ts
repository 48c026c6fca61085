/** Collects what is wrong with one file while the stages read it; the only place where diagnostics of a file are made. */
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import type { SourceLocation } from './model.ts';
import { lineAt, positionAt, type SourceText, type Span } from './source-text.ts';

/** More mistakes than this help nobody, and a hostile file could hold a million. */
export const MAX_DIAGNOSTICS = 500;
/** Longer lines are not carried along: 500 diagnostics could each quote a line of 1 MiB. */
const MAX_SOURCE_LINE = 4096;

export interface Mistake {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export interface Report {
  readonly error: (span: Span, mistake: Mistake) => void;
  readonly warning: (span: Span, mistake: Mistake) => void;
  readonly hasErrors: () => boolean;
  /** In the order of the file. */
  readonly diagnostics: () => readonly Diagnostic[];
}

export function createReport(source: SourceText): Report {
  const found: Diagnostic[] = [];
  let errors = 0;
  let untold = 0;
  const add = (severity: Diagnostic['severity'], span: Span, mistake: Mistake): void => {
    if (severity === 'error') errors += 1;
    if (found.length < MAX_DIAGNOSTICS) found.push(diagnosticAt(source, span, severity, mistake));
    else untold += 1;
  };
  return {
    error: (span, mistake) => add('error', span, mistake),
    warning: (span, mistake) => add('warning', span, mistake),
    hasErrors: () => errors > 0,
    diagnostics: () => {
      const sorted = found.toSorted((a, b) => a.line - b.line || a.column - b.column);
      if (untold === 0) return sorted;
      const message = `the file has ${untold} more mistakes; the first ${MAX_DIAGNOSTICS} found are shown`;
      const end = { from: source.text.length, to: source.text.length };
      return [...sorted, diagnosticAt(source, end, 'error', { code: 'too-many-mistakes', message })];
    },
  };
}

export function locationOf(source: SourceText, span: Span): SourceLocation {
  return { file: source.file, ...positionAt(source, span.from) };
}

/** Text of the file as a message may show it: short, in quotes, without control characters. */
export function quoted(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return `"${shown.replace(/\p{Cc}/gu, '\ufffd')}"`;
}

function diagnosticAt(source: SourceText, span: Span, severity: Diagnostic['severity'], mistake: Mistake): Diagnostic {
  const { line, column } = positionAt(source, span.from);
  const text = lineAt(source, line);
  const length = Math.max(1, Math.min(span.to - span.from, text.length - column + 1));
  return {
    severity,
    code: mistake.code,
    message: mistake.message,
    file: source.file,
    line,
    column,
    length,
    ...(text.length > MAX_SOURCE_LINE ? {} : { source: text }),
    ...(mistake.hint === undefined ? {} : { hint: mistake.hint }),
  };
}
