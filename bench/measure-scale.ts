/** What thousands of policies cost: until they are in force from cold, until one changed file is, and in memory. */
import type { BenchWorld, Client } from './bench-world.ts';
import { type BenchDaemon, type DaemonOptions, startDaemon, startProbe } from './daemon.ts';
import type { LoadPrograms } from './load-programs.ts';
import { connectOnce } from './measure-connect.ts';
import { LOAD_USER, type PolicyRootOptions, writeChangingPolicy, writePolicyRoot } from './policy-root.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';
import { median } from './statistics.ts';

export interface ColdResult {
  readonly apps: number;
  readonly repetitions: number;
  /** Median. */
  readonly untilEnforcingMs: number;
  /** Of the last repetition, after a burst of connections and a rest. */
  readonly residentBytes: number;
  readonly peakBytes: number;
}

export interface ChangeResult {
  readonly apps: number;
  readonly changes: number;
  readonly firstMs: number;
  readonly medianMs: number;
  readonly slowestMs: number;
}

export interface Bed {
  readonly world: BenchWorld;
  readonly programs: LoadPrograms;
}

/** The daemon, and the files that it lives by, which go with it. */
export async function startOn(
  { world, programs }: Bed,
  name: string,
  policies: PolicyRootOptions,
  settings: DaemonSettings = {},
): Promise<BenchDaemon> {
  const client = await world.addClient(name);
  return startIn(client, programs, policies, settings);
}

export type DaemonSettings = Pick<DaemonOptions, 'without'>;

export async function startIn(
  client: Client,
  { probe }: Pick<LoadPrograms, 'probe'>,
  policies: PolicyRootOptions,
  settings: DaemonSettings = {},
): Promise<BenchDaemon> {
  const rootDir = await makeScratchDir('root');
  const remove = (): Promise<void> => removeScratchDir(rootDir);
  try {
    await writePolicyRoot(rootDir, policies);
    const daemon = await startDaemon({ client, rootDir, probe, ...settings });
    return {
      ...daemon,
      [Symbol.asyncDispose]: async () => {
        await daemon[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Long enough for what was needed only for the start to be given back. */
const REST_MS = 3000;
const BURST_CONNECTIONS = 2000;

/** Each repetition starts without any state of an earlier one. */
export async function measureCold(
  { world, programs }: Bed,
  { apps, repetitions }: { readonly apps: number; readonly repetitions: number },
): Promise<ColdResult> {
  const client = await world.addClient(`cold${apps}`);
  const times: number[] = [];
  let memory = { residentBytes: 0, peakBytes: 0 };
  for (let i = 0; i < repetitions; i += 1) {
    await using daemon = await startIn(client, programs, { apps });
    times.push(daemon.untilEnforcingMs);
    if (i < repetitions - 1) continue;
    await connectOnce({ name: 'burst', client, uid: LOAD_USER.plain }, programs.connect, BURST_CONNECTIONS);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    memory = await daemon.memory();
  }
  return { apps, repetitions, untilEnforcingMs: median(times), ...memory };
}

/** From before the file is written until a new connection is treated otherwise. */
export async function measureChange(
  { client, rootDir }: BenchDaemon,
  { programs, apps, changes }: { readonly programs: LoadPrograms; readonly apps: number; readonly changes: number },
): Promise<ChangeResult> {
  const times: number[] = [];
  for (let i = 0; i < changes; i += 1) {
    const until = i % 2 === 0 ? 'open' : 'refused';
    const probe = await startProbe(client, programs.probe, { until });
    const writtenNs = process.hrtime.bigint();
    await writeChangingPolicy(rootDir, until === 'open' ? 'allow' : 'deny');
    times.push(Number((await probe.seenNs) - writtenNs) / 1e6);
    await probe.stop();
  }
  return { apps, changes, firstMs: times[0] ?? 0, medianMs: median(times), slowestMs: Math.max(...times) };
}
