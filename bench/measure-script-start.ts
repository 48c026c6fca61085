/** How much longer a script takes to start that a policy names: its opening waits until the daemon has seen it. By turns. */
import type { Client } from './bench-world.ts';
import type { ConnectRound } from './measure-connect.ts';
import { runJson } from './programs.ts';
import { median } from './statistics.ts';

export interface ScriptStartResult {
  /** Medians over the rounds, milliseconds from the start of the script to its end. */
  readonly unlisted: { readonly p50Ms: number; readonly p99Ms: number };
  readonly listed: { readonly p50Ms: number; readonly p99Ms: number };
  /** Median of the rounds' differences. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
}

export interface ScriptStartOptions {
  readonly program: string;
  /** The same text in two files; policies name the first. */
  readonly listed: string;
  readonly unlisted: string;
  readonly rounds: number;
  readonly starts: number;
}

const US_PER_MS = 1000;

export async function measureScriptStart(
  client: Client,
  { program, listed, unlisted, rounds, starts }: ScriptStartOptions,
): Promise<ScriptStartResult> {
  const found = { listed: [] as ConnectRound[], unlisted: [] as ConnectRound[] };
  const run = (script: string): Promise<ConnectRound> =>
    runJson<ConnectRound>(client.inside([program, script, `${starts}`]));
  for (let round = 0; round < rounds; round += 1) {
    for (const which of round % 2 === 0 ? (['listed', 'unlisted'] as const) : (['unlisted', 'listed'] as const)) {
      found[which].push(await run(which === 'listed' ? listed : unlisted));
    }
  }
  const p50 = (of: readonly ConnectRound[]): number[] => of.map(({ p50Us }) => p50Us / US_PER_MS);
  const p99 = (of: readonly ConnectRound[]): number[] => of.map(({ p99Us }) => p99Us / US_PER_MS);
  const both = (of: readonly ConnectRound[]): { readonly p50Ms: number; readonly p99Ms: number } => ({
    p50Ms: median(p50(of)),
    p99Ms: median(p99(of)),
  });
  return {
    listed: both(found.listed),
    unlisted: both(found.unlisted),
    addedP50Ms: median(differences(p50(found.listed), p50(found.unlisted))),
    addedP99Ms: median(differences(p99(found.listed), p99(found.unlisted))),
  };
}

const differences = (values: readonly number[], baselines: readonly number[]): number[] =>
  values.map((value, round) => value - (baselines[round] ?? 0));
