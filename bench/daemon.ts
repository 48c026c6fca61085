/** The real daemon, started and asked as a person would: by its command line and over its socket. */
import { readdir, readFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QUEUE_NUMBER } from './baselines.ts';
import { type Client, CONNECT_PORT, SERVER_ADDRESS } from './bench-world.ts';
import { LOAD_USER } from './policy-root.ts';
import { type BackgroundProgram, startProgram } from './programs.ts';

/** Seen from dist/bench. */
const POINTSMAN = fileURLToPath(new URL('../main/pointsman.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const CHANGE_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

export interface BenchDaemon extends AsyncDisposable {
  readonly rootDir: string;
  readonly client: Client;
  /** Number of its packet queue. */
  readonly queue: number;
  readonly identity: Identity;
  /** From starting the program until a policy's deny was seen by a connection. */
  readonly untilEnforcingMs: number;
  /** VmRSS and VmHWM, proc(5). */
  memory(): Promise<{ readonly residentBytes: number; readonly peakBytes: number }>;
  /** Time that its threads have run. */
  readonly processorNs: () => Promise<number>;
}

/** How programs are told: the part of the answer to `GET /v1/status` that matters here. */
export interface Identity {
  readonly executables: Tier;
  readonly scripts: Tier;
}

export interface Tier {
  readonly inKernel: boolean;
  /** Why not. */
  readonly because?: string;
}

export interface DaemonOptions {
  readonly client: Client;
  /** Filled by `writePolicyRoot`; its policy for `LOAD_USER.changing` must deny. */
  readonly rootDir: string;
  readonly probe: string;
  /**
   * What the daemon is to do without: with `bpf` no socket is marked, so all but users and cgroups take the slow path; with
   * `totals` it does not hear of connections that end.
   */
  readonly without?: 'bpf' | 'totals';
}

/** Resolves when the daemon enforces. Rejects with the daemon's own words where it does not come to that. */
export async function startDaemon({ client, rootDir, probe, without }: DaemonOptions): Promise<BenchDaemon> {
  const refused = await startProbe(client, probe, { until: 'refused', timeoutMs: START_TIMEOUT_MS });
  const startedNs = process.hrtime.bigint();
  const environment = without === undefined ? [] : ['env', `POINTSMAN_WITHOUT=${without}`];
  const command = [...environment, process.execPath, POINTSMAN, '--root', rootDir, 'up'];
  const daemon = startProgram(client.inside(command));
  try {
    const seenNs = await Promise.race([refused.seenNs, daemon.ended.then(() => undefined)]);
    if (seenNs === undefined) throw new Error('it has ended');
    const { identity } = await untilEnforcing(rootDir);
    return {
      rootDir,
      client,
      queue: QUEUE_NUMBER,
      identity,
      untilEnforcingMs: Number(seenNs - startedNs) / 1e6,
      memory: () => memoryOf(daemon.pid),
      processorNs: () => processorNsOf(daemon.pid),
      [Symbol.asyncDispose]: () => daemon.stop(),
    };
  } catch (error) {
    await daemon.stop();
    throw new Error(`the daemon does not enforce: ${daemon.complaint() || String(error)}`, { cause: error });
  } finally {
    await refused.stop();
  }
}

export interface Probe {
  /** CLOCK_MONOTONIC. Rejects where it did not come to that in time. */
  readonly seenNs: Promise<bigint>;
  stop(): Promise<void>;
}

/** Connects as `LOAD_USER.changing` all the time until that is as asked. */
export async function startProbe(
  client: Client,
  probe: string,
  { until, timeoutMs = CHANGE_TIMEOUT_MS }: { readonly until: 'open' | 'refused'; readonly timeoutMs?: number },
): Promise<Probe> {
  const words = [SERVER_ADDRESS, `${CONNECT_PORT}`, `${LOAD_USER.changing}`, until, `${timeoutMs}`];
  const program: BackgroundProgram = startProgram(client.inside([probe, ...words]));
  await program.line(/^listening$/);
  const seenNs = program.line(/^\d+$/).then(BigInt);
  // Whoever stops it early does not wait for it.
  seenNs.catch(() => undefined);
  return { seenNs, stop: () => program.stop() };
}

/** The part of the answer to `GET /v1/status` that matters here. */
interface Status {
  readonly state: string;
  readonly warnings: readonly { readonly message: string }[];
  readonly identity: Identity;
}

async function untilEnforcing(rootDir: string): Promise<Status> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const now = await status(rootDir).catch(notYetThere);
    if (now?.state === 'enforcing') return now;
    const { state, warnings } = now ?? { state: 'starting', warnings: [] };
    if (state !== 'starting' || Date.now() > deadlineMs) {
      throw new Error(`it is ${state}: ${warnings.map(({ message }) => message).join('; ')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Rules may be in force a moment before anyone can ask. */
function notYetThere(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return undefined;
  throw error;
}

function status(rootDir: string): Promise<Status> {
  const socketPath = join(rootDir, 'run/pointsman/pointsman.sock');
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath, path: '/v1/status', headers: { host: 'pointsman' } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text) as Status);
        else reject(new Error(`status ${answer.statusCode}: ${text}`));
      });
    });
    request.on('error', reject);
  });
}

const KIB = 1024;

async function memoryOf(pid: number): Promise<{ residentBytes: number; peakBytes: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string): number => KIB * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
  return { residentBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

/** Of the threads that there are now; the first number of schedstat, Documentation/scheduler/sched-stats.rst. */
async function processorNsOf(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')));
  return texts.reduce((sum, text) => sum + Number(text.split(' ', 1)[0]), 0);
}
