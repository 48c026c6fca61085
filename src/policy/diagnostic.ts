/** A mistake in a file, for the person who made it: never an exception. Codes are a closed union, documented one by one. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly file: string;
  /** From 1. Columns and `length` count UTF-16 code units, as editors do. */
  readonly line: number;
  readonly column: number;
  /** Characters to underline. */
  readonly length: number;
  /** The whole source line, absent where there is none (unreadable file) or where it is too long to show. */
  readonly source?: string;
  readonly hint?: string;
}

/** Every code there is; docs/diagnostics.md has a section for each. */
export const DIAGNOSTIC_CODES = [
  'file-too-large',
  'unreadable-file',
  'file-not-trusted',
  'not-read',
  'wrong-directory',
  'empty-file',
  'bad-encoding',
  'control-character',
  'yaml-syntax',
  'yaml-alias',
  'yaml-anchor',
  'yaml-tag',
  'yaml-merge-key',
  'yaml-directive',
  'several-documents',
  'too-deep',
  'too-long',
  'too-many-mistakes',
  'duplicate-key',
  'unknown-key',
  'missing-key',
  'wrong-type',
  'invalid-value',
  'unsupported-version',
  'not-yet-enforced',
  'invalid-match',
  'misfit-match',
  'invalid-destination',
  'host-bits-set',
  'port-in-address',
  'contradiction',
  'via-without-allow',
  'name-mismatch',
  'unknown-uplink',
  'unknown-profile',
  'duplicate-entry',
  'unreachable-rule',
  'without-effect',
  'match-conflict',
  'cut-off-rule',
  'not-its-own',
  'claims-not-checked',
  'no-match',
] as const;

export type DiagnosticCode = (typeof DIAGNOSTIC_CODES)[number];
