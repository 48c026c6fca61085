/** Puts files into force by way of the daemon, which takes those that are right and no others. */
import type { TriedFile, TryReport, TryRequest } from '../api/request.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { DaemonClient } from './client.ts';

export interface TriedFiles {
  readonly files: readonly TriedFile[];
  /** Where each stands for the person, by its path below `/etc/pointsman`. */
  readonly sources: ReadonlyMap<string, string>;
  readonly confirmMs?: number | undefined;
}

/** With mistakes where the person has the files. Rejects with CliError. */
export async function tryFiles(client: DaemonClient, { files, sources, confirmMs }: TriedFiles): Promise<TryReport> {
  const request: TryRequest = { files, ...(confirmMs !== undefined && { confirmMs }) };
  const report = await client.post<TryReport>('/v1/try', request);
  const places = new Map([...sources].map(([path, source]) => [`${report.directory}/${path}`, source]));
  return { ...report, diagnostics: report.diagnostics.map((diagnostic) => atSource(diagnostic, places)) };
}

const atSource = (diagnostic: Diagnostic, places: ReadonlyMap<string, string>): Diagnostic => ({
  ...diagnostic,
  file: places.get(diagnostic.file) ?? diagnostic.file,
});
