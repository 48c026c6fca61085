/** What the daemon would answer, computed here from the files and from what may be read of the machine. */

import type { ExplainQuery, Explanation } from '../api/explanation.ts';
import type { PanicNote } from '../api/panic.ts';
import type { PlanReport } from '../api/request.ts';
import type { RouteQuery, RouteReport } from '../api/route.ts';
import type { UplinksReport } from '../api/uplinks.ts';
import { asBelieved, changesBetween, observePlan } from '../apply/observe-plan.ts';
import { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import { systemClock } from '../kernel/system-clock.ts';
import type { Change } from '../plan/change.ts';
import type { Plan } from '../plan/plan.ts';
import { planText } from '../plan/plan-text.ts';
import { PANIC_TABLE } from '../plan/reserved.ts';
import { type StaticPlan, staticPlan } from '../plan/static-plan.ts';
import { explainAway } from '../policy/explain-away.ts';
import { ALL_OF_NETWORKS } from '../policy/network-interest.ts';
import { pathsFor } from '../store/paths.ts';
import { attachNetworks } from '../watch/attached-network.ts';
import { isConntrackCounted } from '../watch/conntrack-accounting.ts';
import { answerExplainQuery, subjectOf, UnknownSubject } from '../watch/explain-query.ts';
import type { FlowNumbers } from '../watch/flow-names.ts';
import { liveTraffic } from '../watch/live-traffic.ts';
import { ManagedDevices } from '../watch/managed-devices.ts';
import { lookUpName } from '../watch/name-lookup.ts';
import { readNetwork } from '../watch/network.ts';
import { networkSources } from '../watch/network-sources.ts';
import { type RouteSources, routeReport } from '../watch/route-report.ts';
import { compileSituation, readSituation, type Situation, situationContext } from '../watch/situation.ts';
import { type UplinksSources, uplinksReport } from '../watch/uplinks-report.ts';
import type { DaemonPresence } from './ask-daemon.ts';
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
    const situation = await withManaged((managed) => situationOf(options, kernel, managed));
    const { plan } = compileSituation(situation);
    const changes = options.needsDiff && kernel !== undefined ? await changesTo(plan, kernel) : [];
    return planText(plan, changes, { revision: situation.loaded.revision, nowMs: situation.nowMs });
  });
}

/** Without looking at the kernel: of this start of the machine nothing is to be in it. Throws CliError. */
export async function staticPlanOffline({ root, onNote }: OfflineOptions): Promise<StaticPlan> {
  const paths = pathsFor(root);
  const situation = await readSituation({ paths, clock: systemClock, names: [] });
  noteMistakes(situation, onNote);
  const { policySet } = situation.loaded;
  return staticPlan({ policySet, facts: situation.machine.facts, from: paths.administratorPolicies });
}

async function changesTo(plan: Plan, kernel: LinuxKernel): Promise<readonly Change[]> {
  const observed = asBelieved(await observePlan(kernel, { plan }, systemClock.monotonicMs()));
  return changesBetween(observed, plan);
}

/** Throws CliError. */
export async function explainOffline(
  options: OfflineOptions,
  query: ExplainQuery,
  daemon: DaemonPresence,
): Promise<Explanation & PanicNote> {
  return withKernel(async (kernel) => {
    const situation = await withManaged((managed) => situationOf(options, kernel, managed));
    const { loaded, machine } = situation;
    const context = situationContext(situation);
    const sources = { context, host: machine.host, lookUp: lookUpName, lastGood: loaded.lastGood };
    const explanation = await knowing(() => answerExplainQuery(sources, query));
    const told = daemon === 'away' ? explainAway(explanation, loaded.policySet.systemDefault) : explanation;
    return await noted(kernel, told);
  });
}

/** Throws CliError. */
export async function uplinksOffline(options: OfflineOptions): Promise<UplinksReport & PanicNote> {
  return withKernel((kernel) =>
    withManaged(async (managed) => {
      const situation = await situationOf(options, kernel, managed);
      const report = uplinksReport({
        ...routeSources(situation, kernel),
        managed: (device) => managed.device(device),
        ...(kernel !== undefined && { attach: attachAll(kernel, managed) }),
      });
      return await noted(kernel, report);
    }),
  );
}

/** Throws CliError. */
export async function routeOffline(options: OfflineOptions, query: RouteQuery): Promise<RouteReport & PanicNote> {
  return withKernel((kernel) =>
    withManaged(async (managed) => {
      const sources = routeSources(await situationOf(options, kernel, managed), kernel);
      return await noted(kernel, await knowing(() => routeReport(sources, subjectOf(sources, query))));
    }),
  );
}

/** What holds instead, as far as the caller may see it. */
async function noted<T extends object>(kernel: LinuxKernel | undefined, report: T): Promise<T & PanicNote> {
  if (kernel === undefined || !isRoot()) return report;
  try {
    return (await kernel.nft.observe(PANIC_TABLE)) === undefined ? report : { ...report, panicClosed: true };
  } catch (error) {
    // Where the kernel has no nftables at all there is nothing of ours.
    if (!(error instanceof KernelError)) throw error;
    return report;
  }
}

function routeSources(situation: Situation, kernel: LinuxKernel | undefined): RouteSources {
  const { appIds: apps, uplinkIds: uplinks } = situation;
  return {
    context: situationContext(situation),
    live: liveOf(kernel, { apps, uplinks }),
    isCounted: isConntrackCounted(),
    lastGood: situation.loaded.lastGood,
  };
}

function liveOf(kernel: LinuxKernel | undefined, numbers: FlowNumbers): RouteSources['live'] {
  if (kernel === undefined || !isRoot()) return { unknown: 'only root may see them' };
  try {
    return liveTraffic(kernel.conntrack.ownEntries(), numbers);
  } catch (error) {
    if (error instanceof KernelError) return { unknown: error.message };
    throw error;
  }
}

/** What NetworkManager and ModemManager say at this moment. */
async function withManaged<T>(use: (managed: ManagedDevices) => Promise<T>): Promise<T> {
  // To whoever runs the command: nothing goes on here.
  const background = new Background((fault) => {
    throw fault;
  });
  using managed = new ManagedDevices({ background, onChange: () => undefined });
  await managed.start();
  return await use(managed);
}

/** Throws CliError where the question is about something that is not there. */
async function knowing<T>(answer: () => T | Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof UnknownSubject) throw new CliError(EXIT.failed, error.message, { cause: error });
    throw error;
  }
}

async function situationOf(
  { root, onNote }: OfflineOptions,
  kernel: LinuxKernel | undefined,
  managed: ManagedDevices,
): Promise<Situation> {
  const situation = await readSituation({
    managed,
    paths: pathsFor(root),
    clock: systemClock,
    // Which queue the kernel has takes privileges to find out.
    ...(kernel === undefined ? {} : { kernel: isRoot() ? kernel : readableOf(kernel) }),
  });
  for (const note of situation.notes) onNote(note);
  noteMistakes(situation, onNote);
  return situation;
}

function noteMistakes({ loaded }: Situation, onNote: OfflineOptions['onNote']): void {
  const errors = loaded.diagnostics.filter(({ severity }) => severity === 'error').length;
  if (errors > 0) onNote(`the files have ${errors === 1 ? 'a mistake' : `${errors} mistakes`}: see "pointsman check"`);
}

/** With all that is known of networks, whoever asks. */
function attachAll(kernel: LinuxKernel, managed: ManagedDevices): NonNullable<UplinksSources['attach']> {
  return (uplinks) =>
    attachNetworks(uplinks, readNetwork(kernel.routing), ALL_OF_NETWORKS, networkSources({ kernel, managed }));
}

/** What anybody may read. */
const readableOf = ({ routing, neighbours, wireless }: LinuxKernel) => ({ routing, neighbours, wireless });

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
