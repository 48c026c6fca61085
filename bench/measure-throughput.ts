/** How much goes through one established TCP connection, in one state of the kernel after the other, by turns. */
import { SERVER_ADDRESS, STREAM_PORT } from './bench-world.ts';
import type { ConnectState } from './measure-connect.ts';
import { runJson } from './programs.ts';
import { median, medianRatio } from './statistics.ts';

export interface ThroughputResult {
  readonly name: string;
  readonly bitsPerSecond: number;
  readonly ratio: number;
}

export interface ThroughputOptions {
  readonly program: string;
  readonly rounds: number;
  readonly durationMs: number;
  readonly baseline: string;
}

export async function measureThroughput(
  states: readonly ConnectState[],
  { program, rounds, durationMs, baseline }: ThroughputOptions,
): Promise<ThroughputResult[]> {
  const rates = new Map<string, number[]>(states.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, client, uid } of round % 2 === 0 ? states : states.toReversed()) {
      const command = [program, 'send', SERVER_ADDRESS, `${STREAM_PORT}`, `${durationMs}`, `${uid}`];
      const { bitsPerSecond } = await runJson<{ readonly bitsPerSecond: number }>(client.inside(command));
      rates.get(name)?.push(bitsPerSecond);
    }
  }
  const baselines = rates.get(baseline) ?? [];
  return states.map(({ name }) => {
    const own = rates.get(name) ?? [];
    return { name, bitsPerSecond: median(own), ratio: medianRatio(own, baselines) };
  });
}
