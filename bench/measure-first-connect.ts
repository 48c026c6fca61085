/** How long the first connect(2) of a process takes that nobody has seen before, nor its executable; by turns. */
import { type Client, CONNECT_PORT, SERVER_ADDRESS } from './bench-world.ts';
import type { LoadPrograms } from './load-programs.ts';
import type { ConnectRound } from './measure-connect.ts';
import { runJson } from './programs.ts';
import { queueCounts } from './queue-counts.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';
import { median, medianRatio } from './statistics.ts';

export interface FirstConnectState {
  readonly name: string;
  readonly client: Client;
  /** Of whoever is asked; absent: nobody is. */
  readonly queue?: number;
  /** Whether each connection has to go through the queue. */
  readonly isAsked: boolean;
  /** What the programs are called. */
  readonly called: string;
}

export interface FirstConnectResult {
  readonly name: string;
  /** Medians over the rounds, microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** To the baseline: medians of the rounds' ratios. */
  readonly p50Ratio: number;
  readonly p99Ratio: number;
  readonly failed: number;
  readonly connections: number;
  /** Packets that went to user space. */
  readonly queued: number;
}

export interface FirstConnectOptions {
  readonly programs: Pick<LoadPrograms, 'firstConnect' | 'connectOnce'>;
  readonly rounds: number;
  readonly connections: number;
  /** Name of one of the states. */
  readonly baseline: string;
}

/** A run of the load ends after this, however far it has come. */
const MOST_RUN_MS = 15_000;

/** Rejects where connections of a state did not go through its queue: they would be fast for nothing. */
export async function measureFirstConnect(
  states: readonly FirstConnectState[],
  { programs, rounds, connections, baseline }: FirstConnectOptions,
): Promise<FirstConnectResult[]> {
  const found = new Map<string, FirstConnectRound[]>(states.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const state of round % 2 === 0 ? states : states.toReversed()) {
      found.get(state.name)?.push(await firstConnects(state, programs, connections));
    }
  }
  const baselines = found.get(baseline) ?? [];
  return states.map(({ name }) => summary(name, found.get(name) ?? [], baselines));
}

export interface FirstConnectRound extends ConnectRound {
  readonly queued: number;
}

/** One run of the load. */
export async function firstConnects(
  { name, client, queue, isAsked, called }: FirstConnectState,
  { firstConnect, connectOnce }: FirstConnectOptions['programs'],
  connections: number,
): Promise<FirstConnectRound> {
  const dir = await makeScratchDir('programs');
  try {
    const before = queue === undefined ? undefined : await queueCounts(client, queue);
    const words = [SERVER_ADDRESS, `${CONNECT_PORT}`, `${connections}`, connectOnce, dir, called, `${MOST_RUN_MS}`];
    const round = await runJson<ConnectRound>(client.inside([firstConnect, ...words]));
    if (before === undefined || queue === undefined) return { ...round, queued: 0 };
    const queued = (await queueCounts(client, queue)).packets - before.packets;
    if (isAsked && queued < round.count)
      throw new Error(`${name}: ${queued} packets queued for ${round.count} connections`);
    return { ...round, queued };
  } finally {
    await removeScratchDir(dir);
  }
}

function summary(
  name: string,
  rounds: readonly FirstConnectRound[],
  baseline: readonly FirstConnectRound[],
): FirstConnectResult {
  const p50 = (of: readonly ConnectRound[]): number[] => of.map(({ p50Us }) => p50Us);
  const p99 = (of: readonly ConnectRound[]): number[] => of.map(({ p99Us }) => p99Us);
  return {
    name,
    p50Us: median(p50(rounds)),
    p99Us: median(p99(rounds)),
    p50Ratio: medianRatio(p50(rounds), p50(baseline)),
    p99Ratio: medianRatio(p99(rounds), p99(baseline)),
    failed: sum(rounds, ({ failed }) => failed),
    connections: sum(rounds, ({ count }) => count),
    queued: sum(rounds, ({ queued }) => queued),
  };
}

function sum(rounds: readonly FirstConnectRound[], of: (round: FirstConnectRound) => number): number {
  return rounds.reduce((total, round) => total + of(round), 0);
}
