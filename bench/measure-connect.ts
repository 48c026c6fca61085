/** How long connect(2) takes, in one state of the kernel after the other, by turns. */
import { type Client, CONNECT_PORT, SERVER_ADDRESS } from './bench-world.ts';
import { runJson } from './programs.ts';
import { median, medianRatio } from './statistics.ts';

export interface ConnectState {
  readonly name: string;
  readonly client: Client;
  /** User that the load runs as. */
  readonly uid: number;
}

export interface ConnectResult {
  readonly name: string;
  /** Medians over the rounds, microseconds. */
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  /** To the baseline: medians of the rounds' ratios. */
  readonly p50Ratio: number;
  readonly p99Ratio: number;
  readonly failed: number;
}

export interface ConnectOptions {
  readonly program: string;
  readonly rounds: number;
  readonly connections: number;
  /** Name of one of the states. */
  readonly baseline: string;
}

export interface ConnectRound {
  readonly count: number;
  readonly failed: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
}

export async function measureConnect(
  states: readonly ConnectState[],
  options: ConnectOptions,
): Promise<ConnectResult[]> {
  const rounds = new Map<string, ConnectRound[]>(states.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    // Back and forth, so that no state always comes after the same other one.
    for (const state of round % 2 === 0 ? states : states.toReversed()) {
      rounds.get(state.name)?.push(await connectOnce(state, options.program, options.connections));
    }
  }
  const baseline = rounds.get(options.baseline) ?? [];
  return states.map(({ name }) => summary(name, rounds.get(name) ?? [], baseline));
}

/** One run of the load. */
export function connectOnce(
  { client, uid }: ConnectState,
  program: string,
  connections: number,
): Promise<ConnectRound> {
  return runJson<ConnectRound>(client.inside([program, SERVER_ADDRESS, `${CONNECT_PORT}`, `${connections}`, `${uid}`]));
}

function summary(name: string, rounds: readonly ConnectRound[], baseline: readonly ConnectRound[]): ConnectResult {
  const all = (pick: (round: ConnectRound) => number, of = rounds): number[] => of.map(pick);
  return {
    name,
    p50Us: median(all(({ p50Us }) => p50Us)),
    p90Us: median(all(({ p90Us }) => p90Us)),
    p99Us: median(all(({ p99Us }) => p99Us)),
    p50Ratio: medianRatio(
      all(({ p50Us }) => p50Us),
      all(({ p50Us }) => p50Us, baseline),
    ),
    p99Ratio: medianRatio(
      all(({ p99Us }) => p99Us),
      all(({ p99Us }) => p99Us, baseline),
    ),
    failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}
