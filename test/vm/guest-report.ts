/** What the tests inside the guest say, one JSON object a line, each marked so that stray output cannot be taken for one. */

const MARK = 'guest-report ';

/** `file` is relative to the project's root. An `error` belongs to no single test: a hook, an import, a rejection. */
export type GuestReport =
  | { readonly kind: 'test'; readonly file: string; readonly name: string; readonly state: GuestTestState }
  | { readonly kind: 'failure'; readonly file: string; readonly name: string; readonly message: string }
  | { readonly kind: 'error'; readonly file: string; readonly message: string }
  | { readonly kind: 'end' };

export type GuestTestState = 'passed' | 'failed' | 'skipped' | 'pending';

export function renderReport(report: GuestReport): string {
  return `${MARK}${JSON.stringify(report)}\n`;
}

/** The reports among the lines of an output. Throws SyntaxError for one that was cut. */
export function parseReports(output: string): readonly GuestReport[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith(MARK))
    .map((line) => JSON.parse(line.slice(MARK.length)) as GuestReport);
}
