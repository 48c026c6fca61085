/** What merging works on: one file's part in an application, whether it can be used or not. */
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import type { Children, Layer, Match, Policy, SourceLocation } from './model.ts';

/** A file that cannot be used, and that has no last good version: its application is refused everything. */
export interface BrokenPolicy {
  readonly app: string;
  readonly match: readonly Match[];
  readonly children?: Children;
  readonly because: string;
  readonly file: string;
  readonly at: SourceLocation;
}

/** One file's part in an application. */
export type AppSource = { readonly layer: Layer } & (
  | { readonly kind: 'policy'; readonly policy: Policy }
  | { readonly kind: 'broken'; readonly policy: BrokenPolicy }
);

/** `exec /usr/bin/ssh`: for people, and equal for entries that name the same thing. */
export function matchKey({ kind, value }: { readonly kind: string; readonly value: string }): string {
  return `${kind} ${value}`;
}

/** A diagnostic of a stage that no longer has the file's text. */
export function diagnosticAt(
  { file, line, column }: SourceLocation,
  severity: Diagnostic['severity'],
  code: DiagnosticCode,
  message: string,
  hint?: string,
): Diagnostic {
  return { severity, code, message, file, line, column, length: 1, ...(hint === undefined ? {} : { hint }) };
}

/** By file, then by place in it. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  return compareText(a.file, b.file) || a.line - b.line || a.column - b.column || compareText(a.message, b.message);
}

/** By code units: the same order on every machine. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
