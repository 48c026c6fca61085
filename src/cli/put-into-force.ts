/** One edited policy: looked at, then given to the daemon, or written where there is none. */
import type { TryReport } from '../api/request.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { Paths } from '../store/paths.ts';
import { keepTrial, NotKept } from '../store/trial-files.ts';
import { checkPaths } from './check-files.ts';
import { CliError } from './cli-error.ts';
import { type DaemonClient, isNotRunning } from './client.ts';
import type { EditedPolicy } from './edited-policy.ts';
import { EXIT } from './exit-code.ts';
import { tryFiles } from './try-files.ts';

export interface Edited {
  readonly paths: Paths;
  readonly policy: EditedPolicy;
  readonly bytes: Uint8Array;
  readonly copyPath: string;
  readonly confirmMs: number | undefined;
}

export type PutOutcome =
  | { readonly kind: 'applied'; readonly report: Extract<TryReport, { readonly applied: true }> }
  | { readonly kind: 'written' }
  | { readonly kind: 'mistakes'; readonly diagnostics: readonly Diagnostic[] };

/** Rejects with CliError. */
export async function putIntoForce(client: DaemonClient, edited: Edited): Promise<PutOutcome> {
  const { paths, policy, bytes, copyPath, confirmMs } = edited;
  const { diagnostics, errors } = checkPaths([copyPath], paths);
  if (errors > 0) {
    return { kind: 'mistakes', diagnostics: diagnostics.map((one) => ({ ...one, file: policy.path })) };
  }
  const path = `policies/${policy.name}`;
  const sources = new Map([[path, policy.path]]);
  try {
    const files = [{ path, base64: Buffer.from(bytes).toString('base64') }];
    const report = await tryFiles(client, { files, sources, confirmMs });
    return report.applied ? { kind: 'applied', report } : { kind: 'mistakes', diagnostics: report.diagnostics };
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    write(paths, path, bytes);
    return { kind: 'written' };
  }
}

function write(paths: Paths, path: string, bytes: Uint8Array): void {
  try {
    keepTrial(paths, [{ path, bytes }]);
  } catch (error) {
    if (!(error instanceof NotKept)) throw error;
    throw new CliError(EXIT.failed, error.message, { hint: error.hint });
  }
}
