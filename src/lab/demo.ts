/**
 * `pointsman lab demo`: runs the steps and puts three independent accounts beside each other: what the program
 * experienced, what the servers saw, and what `explain` says. Where they or the expectation disagree, the row says so.
 */
import { realpathSync } from 'node:fs';
import type { WorldNote } from './build-world.ts';
import {
  DEMO_PROGRAMS,
  DEMO_STEPS,
  type DemoStep,
  type DemoVerdict,
  OUTAGE_STEPS,
  type OutageStep,
} from './demo-steps.ts';
import { LabError } from './lab-error.ts';
import { labCollect } from './lab-exec.ts';
import { type LinkState, labLink } from './lab-link.ts';
import { labFiles, readMarker } from './lab-state.ts';
import { isExecutable, type Outcome } from './run-tool.ts';
import { readSeenLog, seenLogEnd } from './server-log.ts';
import { LAB_LAN, LAB_UPLINKS, type LabUplinkName } from './world.ts';

/** What the daemon says about one program and destination, asked after the program ran. */
export interface ExplainAnswer {
  readonly verdict: 'accept' | 'reject' | 'drop' | 'queue';
  /** With `reject`: a rule's deny, or no uplink that `via` permits. */
  readonly cause?: 'denied' | 'no-uplink' | 'other-device' | 'local-blocked' | 'own-tunnel';
  /** Name of the uplink that a `via` chose; absent for the system's route and for on-link destinations. */
  readonly uplink?: string;
  /** FILE:LINE of what decides. */
  readonly fileLine: string;
  readonly rule: string;
}

/** `exe` is a resolved path; `destination` is HOST:PORT[/PROTOCOL], or HOST/icmp. */
export type Explain = (exe: string, destination: string) => Promise<ExplainAnswer>;

/** What a program can tell apart by itself. */
export type Experience = 'reached' | 'refused' | 'unreachable' | 'silence';

export interface DemoRow {
  readonly program: string;
  readonly command: readonly string[];
  readonly destination: string;
  readonly verdict: DemoVerdict;
  /** By the source address that arrived. */
  readonly uplink?: string;
  readonly sourceSeen?: string;
  readonly decidedBy: string;
  readonly rule: string;
  readonly durationMs: number;
  readonly expected: DemoStep['expected'];
  /** Empty where everything agrees. */
  readonly problems: readonly string[];
}

export interface OutageRow extends DemoRow {
  readonly after: OutageStep['after'];
}

export interface DemoReport {
  /** Of both parts. */
  readonly ok: boolean;
  readonly rows: readonly DemoRow[];
  /** What happens when an uplink goes. */
  readonly outage: readonly OutageRow[];
  readonly notes: readonly WorldNote[];
  readonly rootDir: string;
}

export interface DemoOptions {
  readonly id: string;
  readonly stateDir: string;
  readonly explain: Explain;
  /** Returns when the daemon has taken notice of these links. */
  readonly followed: (links: readonly LinkState[]) => Promise<void>;
  readonly onProgress?: (line: string) => void;
}

const STEP_TIMEOUT_MS = 10_000;

/** Runs both parts in a lab that is up. Throws LabError `not-up`, `missing-tool`. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  requirePrograms();
  const rows = await runSteps(options);
  const outage = await runOutage(options);
  const notes = (await readMarker(options.stateDir))?.notes ?? [];
  const ok = [...rows, ...outage].every((row) => row.problems.length === 0);
  return { ok, rows, outage, notes, rootDir: labFiles(options.stateDir).rootDir };
}

/** The first part: each program once, all links as they are. */
export async function runSteps(options: Omit<DemoOptions, 'followed'>): Promise<readonly DemoRow[]> {
  const rows: DemoRow[] = [];
  for (const [index, step] of DEMO_STEPS.entries()) {
    options.onProgress?.(`${index + 1}/${DEMO_STEPS.length} ${step.program} ${step.destination}`);
    rows.push(await runStep(options, step));
  }
  return rows;
}

/** The second part. Whatever fails, the links are as the lab was built afterwards. */
async function runOutage(options: DemoOptions): Promise<readonly OutageRow[]> {
  const rows: OutageRow[] = [];
  try {
    let now: OutageStep['after'] | undefined;
    for (const [index, step] of OUTAGE_STEPS.entries()) {
      const { uplink, change } = step.after;
      options.onProgress?.(
        `${index + 1}/${OUTAGE_STEPS.length} ${uplink} ${change}: ${step.program} ${step.destination}`,
      );
      if (now?.uplink !== uplink || now.change !== change) await changeLink(options, uplink, change);
      now = step.after;
      rows.push({ ...(await runStep(options, step)), after: step.after });
    }
  } finally {
    for (const uplink of new Set(OUTAGE_STEPS.map(({ after }) => after.uplink))) {
      await changeLink(options, uplink, 'up');
    }
  }
  return rows;
}

async function changeLink(options: DemoOptions, uplink: LabUplinkName, kind: 'up' | 'down'): Promise<void> {
  const { id, stateDir, followed } = options;
  const { dependents, ...link } = await labLink({ id, stateDir, uplink, change: { kind } });
  await followed([link, ...dependents]);
}

function requirePrograms(): void {
  const missing = [...DEMO_PROGRAMS].filter(([path]) => !isExecutable(path));
  if (missing.length === 0) return;
  const paths = missing.map(([path]) => path).join(', ');
  const packages = missing.map(([, name]) => name).join(' ');
  throw new LabError('missing-tool', `the demo runs ${paths}; on Debian: apt-get install ${packages}`);
}

async function runStep({ id, stateDir, explain }: Omit<DemoOptions, 'followed'>, step: DemoStep): Promise<DemoRow> {
  const { seenLog } = labFiles(stateDir);
  const offset = seenLogEnd(seenLog);
  const { command, input } = step;
  const run = { id, stateDir, command, timeoutMs: STEP_TIMEOUT_MS, ...(input === undefined ? {} : { input }) };
  const outcome = await labCollect(run);
  const sourceSeen = sourceOf(step, seenLog, offset);
  const answer = await explain(realpathSync(command[0] ?? ''), step.explainTo);
  const experience = experienceOf(outcome, step.reached);
  const uplink = sourceSeen === undefined ? undefined : uplinkOfSource(sourceSeen);
  const observed = {
    verdict: verdictOf(experience, answer),
    ...(uplink === undefined ? {} : { uplink }),
    ...(sourceSeen === undefined ? {} : { sourceSeen }),
  };
  return {
    program: step.program,
    command,
    destination: step.destination,
    ...observed,
    decidedBy: answer.fileLine,
    rule: answer.rule,
    durationMs: Math.round(outcome.durationMs),
    expected: step.expected,
    problems: problemsOf(step, observed, answer),
  };
}

function sourceOf({ seen }: DemoStep, seenLog: string, offset: number): string | undefined {
  if (seen === undefined) return undefined;
  return readSeenLog(seenLog, offset).find(
    ({ protocol, server, port, question }) =>
      protocol === seen.protocol && server === seen.server && port === seen.port && question === seen.question,
  )?.client;
}

/** From what the program printed: each of them words the errno in its own way. */
export function experienceOf(outcome: Pick<Outcome, 'stdout' | 'stderr'>, reached: RegExp): Experience {
  const { stdout, stderr } = outcome;
  if (reached.test(stdout) || reached.test(stderr)) return 'reached';
  const text = `${stdout}\n${stderr}`;
  if (/timed out|timeout/i.test(text)) return 'silence';
  if (/unreachable|no route to host/i.test(text)) return 'unreachable';
  if (/refused|reset by|not permitted|permission denied|prohibited|couldn't connect|failed to connect/i.test(text))
    return 'refused';
  return 'silence';
}

/** The uplink (or `lan`) whose address of the device it is. */
export function uplinkOfSource(address: string): string | undefined {
  const uplink = LAB_UPLINKS.find(({ access }) => access.v4.near === address || access.v6.near === address);
  if (uplink !== undefined) return uplink.name;
  return LAB_LAN.v4.near === address || LAB_LAN.v6.near === address ? 'lan' : undefined;
}

/** A quick error is one experience with two reasons; only `explain` can tell which. */
function verdictOf(experience: Experience, answer: ExplainAnswer): DemoVerdict {
  switch (experience) {
    case 'reached':
      return 'allowed';
    case 'silence':
      return 'dropped';
    case 'refused':
    case 'unreachable':
      return answer.cause === 'no-uplink' ? 'no uplink' : 'refused';
  }
}

const EXPLAINED: Readonly<Record<DemoVerdict, string>> = {
  allowed: 'accept',
  refused: 'reject, denied',
  dropped: 'drop',
  'no uplink': 'reject, no-uplink',
};

type Observed = Pick<DemoRow, 'verdict' | 'uplink' | 'sourceSeen'>;

export function problemsOf(step: DemoStep, observed: Observed, answer: ExplainAnswer): readonly string[] {
  const { expected } = step;
  const problems: string[] = [];
  const explained = answer.verdict === 'reject' ? `reject, ${answer.cause ?? 'denied'}` : answer.verdict;
  if (observed.verdict !== expected.verdict) problems.push(`expected ${expected.verdict}, was ${observed.verdict}`);
  if (explained !== EXPLAINED[observed.verdict]) problems.push(`explain says ${explained}, was ${observed.verdict}`);
  if (expected.uplink !== undefined && observed.uplink !== expected.uplink) {
    problems.push(`expected to leave by ${expected.uplink}, the server saw ${observed.sourceSeen ?? 'nothing'}`);
  }
  if (answer.uplink !== undefined && observed.uplink !== undefined && answer.uplink !== observed.uplink) {
    problems.push(`explain says by ${answer.uplink}, was ${observed.uplink}`);
  }
  if (observed.verdict !== 'allowed' && observed.sourceSeen !== undefined) {
    problems.push(`leaked: the server saw ${observed.sourceSeen}`);
  }
  return problems;
}
