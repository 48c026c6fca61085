/** The file for the time before the first start of a daemon. */
import { join, resolve } from 'node:path';
import type { StaticPlan } from '../plan/static-plan.ts';
import { writeAtomically } from '../store/atomic-write.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';
import { type OfflineOptions, staticPlanOffline } from './offline.ts';

const FILE_NAME = 'pointsman.nft';
/** It has the names of what policies speak of. */
const FILE_MODE = 0o600;

export type WrittenStaticPlan = Omit<StaticPlan, 'nft' | 'ruleset'> & { readonly file: string };

/** Makes the directory where it is missing. Throws CliError. */
export async function writeStaticPlan(directory: string, options: OfflineOptions): Promise<WrittenStaticPlan> {
  const { nft, ruleset: _, ...plan } = await staticPlanOffline(options);
  const file = join(resolve(directory), FILE_NAME);
  try {
    writeAtomically(file, new TextEncoder().encode(nft), { mode: FILE_MODE, until: 'disk' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const exit = code === 'EACCES' || code === 'EPERM' ? EXIT.notPermitted : EXIT.failed;
    throw new CliError(exit, `cannot write ${file}: ${message}`, { cause: error });
  }
  return { file, ...plan };
}
