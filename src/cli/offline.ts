/** What the daemon would answer, computed here from the files and from what may be read of the machine. */
import type { ExplainQuery, Explanation } from '../api/explanation.ts';
import type { PlanReport } from '../api/request.ts';
import { changesBetween, observePlan } from '../apply/observe-plan.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import type { Change } from '../plan/change.ts';
import type { Plan } from '../plan/plan.ts';
import { planText } from '../plan/plan-text.ts';
import { pathsFor } from '../store/paths.ts';
import { answerExplainQuery, UnknownSubject } from '../watch/explain-query.ts';
import { lookUpName } from '../watch/name-lookup.ts';
import { compileSituation, readSituation, type Situation, situationContext } from '../watch/situation.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

export interface OfflineOptions {
  readonly root: string | undefined;
  /** A sentence about what could not be read. */
  readonly onNote: (note: string) => void;
}

/** Throws CliError; with `needsDiff` also where the caller may not look into the kernel. */
export async function planOffline(options: OfflineOptions & { readonly needsDiff: boolean }): Promise<PlanReport> {
  return withKernel(async (kernel) => {
    if (options.needsDiff && !isRoot()) {
      const hint = 'sudo pointsman plan --diff';
      throw new CliError(EXIT.notPermitted, 'only root may see what is in the kernel', { hint });
    }
    const situation = await situationOf(options, kernel);
    const { plan } = compileSituation(situation);
    const changes = options.needsDiff && kernel !== undefined ? await changesTo(plan, kernel) : [];
    return planText(plan, changes, { revision: situation.loaded.revision, nowMs: situation.nowMs });
  });
}

async function changesTo(plan: Plan, kernel: LinuxKernel): Promise<readonly Change[]> {
  const { observed } = await observePlan(kernel, { plan });
  return changesBetween(observed, plan);
}

/** Throws CliError. */
export async function explainOffline(options: OfflineOptions, query: ExplainQuery): Promise<Explanation> {
  return withKernel(async (kernel) => {
    const situation = await situationOf(options, kernel);
    const sources = { context: situationContext(situation), host: situation.machine.host, lookUp: lookUpName };
    try {
      return await answerExplainQuery(sources, query);
    } catch (error) {
      if (error instanceof UnknownSubject) throw new CliError(EXIT.failed, error.message, { cause: error });
      throw error;
    }
  });
}

async function situationOf({ root, onNote }: OfflineOptions, kernel: LinuxKernel | undefined): Promise<Situation> {
  const situation = await readSituation({
    paths: pathsFor(root),
    nowMs: Date.now(),
    // Which queue the kernel has takes privileges to find out.
    ...(kernel === undefined ? {} : { kernel: isRoot() ? kernel : { routing: kernel.routing } }),
  });
  for (const note of situation.notes) onNote(note);
  const errors = situation.loaded.diagnostics.filter(({ severity }) => severity === 'error').length;
  if (errors > 0) onNote(`the files have ${errors === 1 ? 'a mistake' : `${errors} mistakes`}: see "pointsman check"`);
  return situation;
}

async function withKernel<T>(use: (kernel: LinuxKernel | undefined) => Promise<T>): Promise<T> {
  const kernel = openKernel();
  try {
    return await use(kernel);
  } finally {
    kernel?.[Symbol.dispose]();
  }
}

/** Undefined where netlink is closed to the caller; the rest can be computed all the same. */
function openKernel(): LinuxKernel | undefined {
  try {
    return LinuxKernel.open();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
