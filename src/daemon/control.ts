/** What the control socket's routes do. */

import type { ExplainQuery, Explanation } from '../api/explanation.ts';
import { parseFlowQuery } from '../api/flow-query.ts';
import type { ApiError, PlanReport } from '../api/request.ts';
import type { RouteQuery, RouteReport } from '../api/route.ts';
import type { SelfCheckReport } from '../api/self-check.ts';
import type { Status } from '../api/status.ts';
import type { TrafficTotals } from '../api/traffic-totals.ts';
import type { UplinksReport } from '../api/uplinks.ts';
import type { WhoQuery, WhoReport } from '../api/who.ts';
import { asBelieved, changesBetween, observePlan } from '../apply/observe-plan.ts';
import { ExecutableFiles } from '../identify/executable-files.ts';
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { openProc } from '../kernel/proc.ts';
import type { Clock, MonotonicMs } from '../net/clock.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { planText } from '../plan/plan-text.ts';
import type { DecideContext } from '../policy/decide.ts';
import type { PolicyFiles } from '../store/policy-files.ts';
import { isConntrackCounted } from '../watch/conntrack-accounting.ts';
import { answerExplainQuery, subjectOf, UnknownSubject } from '../watch/explain-query.ts';
import { liveTraffic } from '../watch/live-traffic.ts';
import { lookUpName } from '../watch/name-lookup.ts';
import { readNetwork } from '../watch/network.ts';
import type { NetworkWatch } from '../watch/network-watch.ts';
import { type RouteSources, routeReport } from '../watch/route-report.ts';
import { type UplinksSources, uplinksReport } from '../watch/uplinks-report.ts';
import { appsReport } from './apps-report.ts';
import type { Enforcement } from './enforce.ts';
import type { EventStream } from './event-stream.ts';
import { type EvidenceSources, openEvidence } from './evidence-sources.ts';
import type { GuardCounts } from './guard-drops.ts';
import { factsNow, type InForce } from './in-force.ts';
import { metricFamilies } from './metric-families.ts';
import type { PanicLook } from './panic-warning.ts';
import { RequestRefused } from './request-refused.ts';
import type { Control } from './routes.ts';
import { diagnosticsFor } from './shown-to.ts';
import type { StagedChange } from './staged-change.ts';
import { whoIsFlow, whoIsProcess } from './who-report.ts';

export interface ControlParts {
  readonly background: Background;
  readonly kernel: Kernel;
  readonly panic: Pick<PanicLook, 'isClosed'>;
  readonly enforcement: Enforcement;
  readonly events: EventStream;
  readonly staged: StagedChange;
  readonly managed: UplinksSources['managed'];
  readonly networks: Pick<NetworkWatch, 'describe'>;
  /** Looks at what is open; undefined where nobody counts. */
  readonly traffic: () => TrafficTotals | undefined;
  readonly guardCounts: () => GuardCounts;
  readonly status: () => Promise<Status>;
  readonly selfCheck: () => Promise<SelfCheckReport>;
  readonly permissionsOf: PolicyFiles['permissionsOf'];
  readonly stop: () => void;
  readonly leave: () => void;
  readonly clock: Clock;
}

const ROOT_ALONE: ApiError = {
  code: 'not-permitted',
  message: 'only root may put files into force',
  hint: 'run it as root: sudo',
};

export function createControl(parts: ControlParts): Control {
  const { enforcement, staged } = parts;
  const executables = new ExecutableFiles(openProc());
  // From the start, so that programs are known whose files are replaced before anybody asks.
  executables.learn(enforcement.inForce?.index.byExecutable.keys() ?? []);
  return {
    status: async (reader) => {
      const status = await parts.status();
      return { ...status, diagnostics: diagnosticsFor(reader, status.diagnostics, parts) };
    },
    plan: () => plan(parts),
    explain: (query) => explain(enforcement, query, parts.clock.monotonicMs()),
    apps: () => withEvidence(parts, executables, appsReport),
    who: (query) => withEvidence(parts, executables, (evidence) => who(evidence, query)),
    uplinks: async () => uplinks(parts),
    route: async (query) => route(parts, query),
    metrics: async () => metricFamilies(await parts.status(), parts.traffic(), parts.guardCounts()),
    reload: async (request, reader) => {
      requireInForce(enforcement);
      const report = await staged.reload(request);
      return { ...report, diagnostics: diagnosticsFor(reader, report.diagnostics, parts) };
    },
    tryFiles: async (request, reader) => {
      requireInForce(enforcement);
      // What is kept becomes the administrator's.
      if (reader.uid !== 0) throw new RequestRefused(403, ROOT_ALONE);
      return await staged.try(request);
    },
    isPanicClosed: async () => {
      try {
        return await parts.panic.isClosed();
      } catch (error) {
        // Ignoring it: the answer to the question stands, and `status` says what the kernel refuses.
        if (!(error instanceof KernelError)) throw error;
        return false;
      }
    },
    confirm: () => staged.confirm(),
    selfCheck: parts.selfCheck,
    stop: parts.stop,
    leave: parts.leave,
    onFault: parts.background.hear,
    events: parts.events,
    clock: parts.clock,
  };
}

function requireInForce({ inForce }: Enforcement): InForce {
  if (inForce !== undefined) return inForce;
  throw new RequestRefused(503, { code: 'busy', message: 'the daemon is starting' });
}

async function plan({ kernel, enforcement, clock }: ControlParts): Promise<PlanReport> {
  const inForce = requireInForce(enforcement);
  const wanted = inForce.compilation.plan;
  try {
    const belief = { plan: wanted, prints: inForce.prints };
    const observed = asBelieved(await observePlan(kernel, belief, clock.monotonicMs()));
    const { revision } = inForce.snapshot;
    return planText(wanted, changesBetween(observed, wanted), { revision, nowMs: clock.monotonicMs() });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new RequestRefused(422, { code: 'apply-failed', message: error.message });
  }
}

function contextOf(inForce: InForce, nowMs: MonotonicMs): DecideContext {
  const { policySet, index } = inForce;
  return { policySet, index, facts: factsNow(inForce), nowMs, unknownNames: 'queue', missingUplink: 'queue' };
}

async function explain(enforcement: Enforcement, query: ExplainQuery, nowMs: MonotonicMs): Promise<Explanation> {
  const inForce = requireInForce(enforcement);
  const context = contextOf(inForce, nowMs);
  try {
    return await answerExplainQuery(
      { context, host: inForce.host, lookUp: lookUpName, lastGood: enforcement.loaded.lastGood },
      query,
    );
  } catch (error) {
    if (!(error instanceof UnknownSubject)) throw error;
    throw new RequestRefused(404, { code: 'not-found', message: error.message });
  }
}

/** The networks that uplinks are in; where the kernel cannot be asked just now, what is known already. */
function attachOf({ kernel, networks }: ControlParts): NonNullable<UplinksSources['attach']> {
  return (uplinks) => {
    try {
      return networks.describe(uplinks, readNetwork(kernel.routing));
    } catch (error) {
      if (error instanceof KernelError) return uplinks;
      throw error;
    }
  };
}

/** What uplinks and applications are asked about. Throws RequestRefused. */
function liveSources({ kernel, enforcement, clock }: ControlParts): RouteSources {
  const inForce = requireInForce(enforcement);
  const { entries, unknown } = ownEntries(kernel);
  const live = unknown === undefined ? liveTraffic(entries, inForce.ids) : { unknown };
  const context = contextOf(inForce, clock.monotonicMs());
  return { context, live, isCounted: isConntrackCounted(), lastGood: enforcement.loaded.lastGood };
}

/** Throws RequestRefused. */
function uplinks(parts: ControlParts): UplinksReport {
  const totals = parts.traffic();
  return uplinksReport({
    ...liveSources(parts),
    managed: parts.managed,
    attach: attachOf(parts),
    ...(totals !== undefined && { totals }),
  });
}

function ownEntries({ conntrack }: Pick<Kernel, 'conntrack'>): {
  readonly entries: readonly ConntrackEntry[];
  readonly unknown?: string;
} {
  try {
    return { entries: conntrack.ownEntries() };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { entries: [], unknown: error.message };
  }
}

function route(parts: ControlParts, query: RouteQuery): RouteReport {
  const sources = liveSources(parts);
  try {
    return routeReport(sources, subjectOf(sources, query));
  } catch (error) {
    if (!(error instanceof UnknownSubject)) throw error;
    throw new RequestRefused(404, { code: 'not-found', message: error.message });
  }
}

/** Throws RequestRefused, also where the kernel refuses to tell. */
async function withEvidence<T>(
  { kernel, enforcement, clock }: ControlParts,
  executables: ExecutableFiles,
  ask: (evidence: EvidenceSources) => Promise<T>,
): Promise<T> {
  const inForce = requireInForce(enforcement);
  try {
    using evidence = openEvidence({ kernel, inForce, executables, nowMs: clock.wallMs() });
    return await ask(evidence);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new RequestRefused(422, { code: 'apply-failed', message: error.message });
  }
}

async function who(evidence: EvidenceSources, query: WhoQuery): Promise<WhoReport> {
  if ('pid' in query) {
    const report = await whoIsProcess(evidence, query.pid);
    if (report !== undefined) return report;
    throw new RequestRefused(404, { code: 'not-found', message: `there is no process ${query.pid}` });
  }
  const parsed = parseFlowQuery(query.flow);
  if (!parsed.ok) {
    const { message, hint } = parsed;
    throw new RequestRefused(400, { code: 'bad-request', message, ...(hint !== undefined && { hint }) });
  }
  const report = await whoIsFlow(evidence, parsed.value);
  if (report !== undefined) return report;
  throw new RequestRefused(404, {
    code: 'not-found',
    message: `no connection and no socket is ${query.flow}`,
    hint: 'one that has ended leaves no trace; pointsman watch shows each as it begins',
  });
}
