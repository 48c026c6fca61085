/** `npm run bench`: all measurements in one run. Results go to standard output, progress to standard error. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { acceptAllQueue, conntrackAlone, queueKind } from './baselines.ts';
import { BenchWorld, type Client, CONNECT_PORT, removeWorlds, STREAM_PORT, UPLINKS } from './bench-world.ts';
import type { KnownResult } from './identity-results.ts';
import { compileLoadPrograms } from './load-programs.ts';
import { measureAccounting } from './measure-accounting.ts';
import { measureChangeover } from './measure-changeover.ts';
import { type ConnectState, measureConnect } from './measure-connect.ts';
import { measureIdentity } from './measure-identity.ts';
import { type Bed, measureChange, measureCold, startOn } from './measure-scale.ts';
import { measureThroughput } from './measure-throughput.ts';
import { LOAD_USER } from './policy-root.ts';
import { countQueued } from './queue-counts.ts';
import { accountingText, changeoverText, reportMarkdown, reportText } from './report.ts';
import { type BenchResults, type Environment, STATE } from './results.ts';
import { removeScratch } from './scratch.ts';

const RESULTS_PATH = fileURLToPath(new URL('../../bench/results.md', import.meta.url));
const MANIFEST_PATH = fileURLToPath(new URL('../../package.json', import.meta.url));
const USAGE = `usage: npm run bench -- [--quick] [--json] [--write] [--only changeover|accounting]
  --quick   below 2 minutes; numbers too rough to rely on
  --json    results as JSON instead of tables
  --write   rewrites bench/results.md too
  --only    one measurement, without the others
`;
/** Nothing here takes so long; whatever hangs is ended. */
const MOST_MINUTES = 15;

const FULL = {
  connect: { rounds: 15, connections: 2000 },
  throughput: { rounds: 40, durationMs: 200 },
  cold: [
    { apps: 10, repetitions: 3 },
    { apps: 1000, repetitions: 3 },
    { apps: 10_000, repetitions: 3 },
  ],
  manyApps: 10_000,
  changes: 15,
  identity: {
    first: { rounds: 10, connections: 200 },
    // 15,150 sockets at once: below the usual hard limit of 20,000.
    sustainedSeconds: 3,
    flood: { rounds: 5, connections: 100 },
    sockets: { executables: [10, 10_000], rounds: 5, sockets: 200_000 },
    scripts: { rounds: 5, starts: 100 },
  },
  changeover: { apps: [10, 1000], flaps: 100 },
  accounting: { connect: { rounds: 25, connections: 2000 }, daemon: { rounds: 8, ends: 4000 } },
} as const;

const QUICK = {
  connect: { rounds: 3, connections: 300 },
  throughput: { rounds: 2, durationMs: 200 },
  cold: [
    { apps: 10, repetitions: 1 },
    { apps: 1000, repetitions: 1 },
  ],
  manyApps: 1000,
  changes: 4,
  identity: {
    first: { rounds: 2, connections: 50 },
    sustainedSeconds: 1,
    flood: { rounds: 1, connections: 30 },
    sockets: { executables: [10, 1000], rounds: 1, sockets: 100_000 },
    scripts: { rounds: 2, starts: 30 },
  },
  changeover: { apps: [10, 1000], flaps: 20 },
  accounting: { connect: { rounds: 10, connections: 1000 }, daemon: { rounds: 4, ends: 4000 } },
} as const;

type Extent = typeof FULL | typeof QUICK;
type Progress = (text: string) => void;

async function makeBed(progress: Progress): Promise<Bed & AsyncDisposable> {
  await removeAll((pid) => !existsSync(`/proc/${pid}`));
  progress('compiling the load');
  const programs = await compileLoadPrograms();
  try {
    const world = await BenchWorld.make();
    await world.start(world.server, [programs.acceptClose, `${CONNECT_PORT}`]);
    await world.start(world.server, [programs.stream, 'sink', `${STREAM_PORT}`]);
    return {
      world,
      programs,
      [Symbol.asyncDispose]: async () => {
        await world[Symbol.asyncDispose]();
        await programs[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await programs[Symbol.asyncDispose]();
    throw error;
  }
}

async function measure(extent: Extent, environment: Environment, progress: Progress): Promise<BenchResults> {
  await using bed = await makeBed(progress);
  const { world, programs } = bed;
  const baselines = {
    none: await world.addClient('none'),
    conntrack: await conntrackAlone(world),
    acceptAll: await acceptAllQueue(world, programs.acceptAll),
  };
  const { known, ...compared } = await compare(bed, baselines, extent, progress);
  const identity = { known, ...(await measureIdentity(bed, baselines, extent.identity, progress)) };
  const cold: BenchResults['cold'][number][] = [];
  for (const size of extent.cold) {
    progress(`${size.apps} applications from cold`);
    cold.push(await measureCold(bed, size));
  }
  progress('losing uplinks');
  const changeover = await measureChangeover(bed, extent.changeover);
  const { manyApps, connect } = extent;
  return { environment, quick: extent === QUICK, manyApps, ...connect, ...compared, cold, identity, changeover };
}

interface Baselines {
  readonly none: Client;
  readonly conntrack: Client;
  readonly acceptAll: Client;
}

/** All states stand side by side, and the load goes round. */
async function compare(
  bed: Bed,
  { none, conntrack, acceptAll }: Baselines,
  extent: Extent,
  progress: Progress,
): Promise<Pick<BenchResults, 'connect' | 'throughput' | 'change'> & { readonly known: KnownResult }> {
  const { programs } = bed;
  const { manyApps, changes } = extent;
  progress('starting the daemons');
  await using few = await startOn(bed, 'few', { apps: 10 });
  await using plainly = await startOn(bed, 'plain', { apps: 10, withoutWays: true });
  await using many = await startOn(bed, 'many', { apps: manyApps });
  const named = { apps: 10, executable: programs.connect };
  await using known = await startOn(bed, 'known', { ...named, withoutWays: true });
  await using slow = await startOn(bed, 'slow', named, { without: 'bpf' });
  const executables = [programs.connect, programs.stream];
  const [main, second] = UPLINKS;
  await using marked = await startOn(bed, 'marked', { apps: 10, routed: { executables, by: main } });
  await using markedOther = await startOn(bed, 'marked2', { apps: 10, routed: { executables, by: second } });
  const { plain, via, viaOther } = LOAD_USER;
  const streams: readonly ConnectState[] = [
    { name: STATE.conntrack, client: conntrack, uid: plain },
    { name: STATE.kernelOnly, client: plainly.client, uid: plain },
    { name: STATE.kernel, client: few.client, uid: plain },
    { name: STATE.via, client: few.client, uid: via },
    { name: STATE.viaOther, client: few.client, uid: viaOther },
    { name: STATE.marked, client: marked.client, uid: plain },
    { name: STATE.markedOther, client: markedOther.client, uid: plain },
  ];
  const states: readonly ConnectState[] = [
    { name: STATE.none, client: none, uid: plain },
    ...streams,
    { name: STATE.many, client: many.client, uid: plain },
    { name: STATE.known, client: known.client, uid: plain },
    { name: STATE.slowPath, client: slow.client, uid: plain },
    { name: STATE.acceptAll, client: acceptAll, uid: plain },
  ];
  progress('connecting');
  const baseline = STATE.conntrack;
  const { result: connect, queued } = await countQueued(known.client, known.queue, () =>
    measureConnect(states, { program: programs.connect, baseline, ...extent.connect }),
  );
  progress('streaming');
  const throughput = await measureThroughput(streams, { program: programs.stream, baseline, ...extent.throughput });
  progress(`changing one file of ${manyApps}`);
  const change = await measureChange(many, { programs, apps: manyApps, changes });
  const connections = extent.connect.rounds * extent.connect.connections;
  return { connect, throughput, change, known: { connections, queued: queued.packets } };
}

async function environmentOf(): Promise<Environment> {
  const { version } = JSON.parse(await readFile(MANIFEST_PATH, 'utf8')) as { readonly version: string };
  return {
    date: new Date().toISOString().slice(0, 10),
    version,
    kernel: os.release(),
    processors: os.cpus().length,
    processor: os.cpus()[0]?.model.trim() || 'unknown processor',
    node: process.versions.node,
    queue: await queueKind(),
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      json: { type: 'boolean' },
      write: { type: 'boolean' },
      only: { type: 'string' },
    },
  });
  if (process.getuid?.() !== 0) throw new Error('it makes network namespaces, so it needs root');
  const startedMs = Date.now();
  const progress = (text: string): void => {
    process.stderr.write(`${((Date.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
  };
  const extent = values.quick === true ? QUICK : FULL;
  if (values.only !== undefined) return await measureOnly(values.only, extent, values.json === true, progress);
  const results = await measure(extent, await environmentOf(), progress);
  process.stdout.write(values.json === true ? `${JSON.stringify(results, null, 2)}\n` : reportText(results));
  if (values.write === true) await writeFile(RESULTS_PATH, reportMarkdown(results));
}

async function measureOnly(what: string, extent: Extent, asJson: boolean, progress: Progress): Promise<void> {
  if (what !== 'changeover' && what !== 'accounting')
    throw new Error(`nothing is called ${what} that can be measured alone`);
  await using bed = await makeBed(progress);
  if (what === 'accounting') {
    const costs = await measureAccounting(bed, extent.accounting);
    process.stdout.write(asJson ? `${JSON.stringify(costs, null, 2)}\n` : accountingText(await environmentOf(), costs));
    return;
  }
  const found = await measureChangeover(bed, extent.changeover);
  process.stdout.write(asJson ? `${JSON.stringify(found, null, 2)}\n` : changeoverText(await environmentOf(), found));
}

async function removeAll(isOver: (pid: number) => boolean): Promise<void> {
  await removeWorlds(isOver);
  await removeScratch(isOver);
}

async function giveUp(because: string): Promise<never> {
  process.stderr.write(`bench: ${because}\n`);
  await removeAll((pid) => pid === process.pid);
  process.exit(1);
}

const limit = setTimeout(() => void giveUp(`not done after ${MOST_MINUTES} minutes`), MOST_MINUTES * 60_000);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void giveUp(signal));
try {
  await main();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error;
  process.stderr.write(
    isUsage ? `${error.message}\n${USAGE}` : `bench: ${error instanceof Error ? error.message : error}\n`,
  );
  process.exitCode = isUsage ? 2 : 1;
}
clearTimeout(limit);
