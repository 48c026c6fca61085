/** A mistake in a file, for the person who made it: never an exception. Codes are a closed union, documented one by one. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Characters to underline. */
  readonly length: number;
  /** The whole source line, absent where there is none (unreadable file). */
  readonly source?: string;
  readonly hint?: string;
}

export type DiagnosticCode = string;
