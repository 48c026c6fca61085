/**
 * What totals of ended connections cost: connect(2) with somebody who hears of ended connections and without, by turns, and the
 * daemon's processor time for each connection that ends.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { conntrackAlone } from './baselines.ts';
import type { Client } from './bench-world.ts';
import type { BenchDaemon } from './daemon.ts';
import { connectOnce } from './measure-connect.ts';
import { type Bed, startOn } from './measure-scale.ts';
import { LOAD_USER } from './policy-root.ts';
import { runProgram, startProgram } from './programs.ts';
import { median, quartiles } from './statistics.ts';
import type { Table } from './table.ts';
import { atMost, type Format, microseconds, type Target } from './target.ts';

/** Of one state of the kernel. */
export interface HeardResult {
  readonly name: string;
  /** Medians over the rounds, microseconds. */
  readonly p50WithoutUs: number;
  readonly p50WithUs: number;
  /** Of p50 with to p50 without, of one round each. */
  readonly ratio: Spread;
}

export interface AccountingResult {
  readonly rounds: number;
  readonly connections: number;
  readonly connect: readonly HeardResult[];
  readonly ends: number;
  /** Processor time of the daemon for one connection that ended, microseconds. */
  readonly processorUs: Spread;
}

export interface Spread {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

export interface AccountingExtent {
  readonly connect: { readonly rounds: number; readonly connections: number };
  /** `ends` connections end at once in each round. */
  readonly daemon: { readonly rounds: number; readonly ends: number };
}

/** Until the daemon has taken what it was told: it looks twice a second. */
const TAKEN_MS = 1500;
const REST_MS = 5000;
const NS_PER_US = 1000;
const MOST_RATIO = 1.01;
const MOST_PROCESSOR_US = 5;

const thousandths: Format = (value) => `${value.toFixed(3)}x`;

export async function measureAccounting(bed: Bed, extent: AccountingExtent): Promise<AccountingResult> {
  const { rounds, connections } = extent.connect;
  const connect = [await compareConnects('conntrack alone', await conntrackAlone(bed.world), bed, extent.connect)];
  {
    await using daemon = await startOn(bed, 'silent', { apps: 10 }, { without: 'totals' });
    connect.push(await compareConnects('a daemon’s rules', daemon.client, bed, extent.connect));
  }
  await using daemon = await startOn(bed, 'accounting', { apps: 10 });
  await delay(REST_MS);
  const processorUs = await endAgainAndAgain(bed, daemon, extent.daemon);
  return { rounds, connections, connect, ends: extent.daemon.ends, processorUs: spread(processorUs) };
}

/** Nobody else hears of ended connections there. */
async function compareConnects(
  name: string,
  client: Client,
  { programs }: Bed,
  { rounds, connections }: AccountingExtent['connect'],
): Promise<HeardResult> {
  const state = { name, client, uid: LOAD_USER.plain };
  const p50 = async (): Promise<number> => {
    const { p50Us } = await connectOnce(state, programs.connect, connections);
    // What ends later must not end in somebody else's turn.
    await endAll(client);
    return p50Us;
  };
  const heard = async (): Promise<number> => {
    const listener = startProgram(client.inside([programs.hearEnded]));
    try {
      await listener.line(/^listening$/);
      return await p50();
    } finally {
      await listener.stop();
    }
  };
  const without: number[] = [];
  const withIt: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // ABBA, so that what changes slowly takes from both alike.
    const [a, b, c, d] = [await p50(), await heard(), await heard(), await p50()];
    without.push((a + d) / 2);
    withIt.push((b + c) / 2);
  }
  const ratios = withIt.map((value, round) => value / (without[round] ?? Number.NaN));
  return { name, p50WithoutUs: median(without), p50WithUs: median(withIt), ratio: spread(ratios) };
}

/** Beyond what the daemon takes without any. */
async function endAgainAndAgain(
  { programs }: Bed,
  { client, processorNs }: BenchDaemon,
  { rounds, ends }: AccountingExtent['daemon'],
): Promise<number[]> {
  const during = async (step: () => Promise<void>): Promise<number> => {
    const before = await processorNs();
    await step();
    await delay(TAKEN_MS);
    return (await processorNs()) - before;
  };
  const found: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await connectOnce({ name: 'accounting', client, uid: LOAD_USER.plain }, programs.connect, ends);
    await delay(TAKEN_MS);
    const idle = await during(async () => undefined);
    const taking = await during(() => endAll(client));
    found.push((taking - idle) / ends / NS_PER_US);
  }
  return found;
}

async function endAll(client: Client): Promise<void> {
  const { status, stderr } = await runProgram(client.inside(['conntrack', '-F']));
  if (status !== 0) throw new Error(`conntrack -F: ${stderr.trim()}`);
}

function spread(values: readonly number[]): Spread {
  const [lower, upper] = quartiles(values);
  return { lower, median: median(values), upper };
}

export const accountingTargets = ({ connect, processorUs }: AccountingResult): Target[] => [
  ...connect.map(({ name, ratio }) =>
    atMost(
      `connect, p50, while ended connections are told, to without: ${name}`,
      ratio.median,
      MOST_RATIO,
      thousandths,
    ),
  ),
  atMost('processor time of the daemon for an ended connection', processorUs.median, MOST_PROCESSOR_US, microseconds),
];

export const accountingTable = ({ connect, ends, processorUs }: AccountingResult): Table => ({
  title: 'Totals of ended connections, microseconds; the quartiles of the rounds in brackets',
  head: ['', 'without', 'with', 'ratio'],
  rows: [
    ...connect.map(({ name, p50WithoutUs, p50WithUs, ratio }) => [
      `connect p50, ${name}`,
      microseconds(p50WithoutUs),
      microseconds(p50WithUs),
      spreadText(ratio, 3),
    ]),
    [`daemon, for each of ${ends} that end at once`, '0', spreadText(processorUs, 1), ''],
  ],
});

const spreadText = ({ lower, median: middle, upper }: Spread, digits: number): string =>
  `${middle.toFixed(digits)} (${lower.toFixed(digits)} to ${upper.toFixed(digits)})`;
