/** One edited policy: looked at, then given to the daemon, or written where there is none. */
import type { TryReport } from '../api/request.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { Paths } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { keepTrial, NotKept, removeTrial, type TrialFile, trialPaths, writeTrial } from '../store/trial-files.ts';
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
  | { readonly kind: 'written'; readonly diagnostics: readonly Diagnostic[] }
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
    const mistakes = mistakesBeside(paths, { path, bytes }).map((one) =>
      one.file.endsWith(`/${path}`) ? { ...one, file: policy.path } : one,
    );
    if (mistakes.length > 0) return { kind: 'mistakes', diagnostics: mistakes };
    write(paths, path, bytes);
    return { kind: 'written', diagnostics: checkPaths([policy.path], paths).diagnostics };
  }
}

/** What would be wrong with it among the files that are there, as the daemon would find it. */
function mistakesBeside(paths: Paths, file: TrialFile): readonly Diagnostic[] {
  try {
    writeTrial(paths, [file]);
    const alone = new PolicyFiles(paths, { writesLastGood: false });
    const known = new Set(alone.load().diagnostics.map(({ file: at, line, code }) => `${at}:${line} ${code}`));
    alone.try(trialPaths(paths));
    return alone
      .load()
      .diagnostics.filter(
        ({ severity, file: at, line, code }) => severity === 'error' && !known.has(`${at}:${line} ${code}`),
      );
  } finally {
    removeTrial(paths);
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
