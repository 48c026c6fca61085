/** Whether one application that floods delays what another one asks for: the other's first connections with and without. */
import { SERVER_ADDRESS } from './bench-world.ts';
import type { LoadPrograms } from './load-programs.ts';
import type { ConnectRound } from './measure-connect.ts';
import { type FirstConnectState, firstConnects } from './measure-first-connect.ts';
import { startProgram } from './programs.ts';
import { queueCounts } from './queue-counts.ts';
import { median, medianRatio } from './statistics.ts';

export interface FloodResult {
  readonly name: string;
  /** The other application's connections, microseconds: medians over the rounds. */
  readonly quiet: { readonly p50Us: number; readonly p99Us: number };
  readonly flooded: { readonly p50Us: number; readonly p99Us: number };
  /** Medians of the rounds' ratios, flooded to quiet. */
  readonly p50Ratio: number;
  readonly p99Ratio: number;
  /** Of the other application, during the flood. */
  readonly failed: number;
  /** Datagrams of the flood a second, and how many of them the queue took; medians. */
  readonly floodPerSecond: number;
  readonly queuedPerSecond: number;
}

export interface FloodOptions {
  readonly programs: Pick<LoadPrograms, 'firstConnect' | 'connectOnce' | 'udpFlood'>;
  readonly rounds: number;
  readonly connections: number;
}

type QueuedState = FirstConnectState & { readonly queue: number };

/** Before the load joins it, the flood has filled whatever it can fill. */
const SETTLE_MS = 300;

/** Each round has both, in turns one or the other first. */
export async function measureFlood(
  states: readonly QueuedState[],
  { programs, rounds, connections }: FloodOptions,
): Promise<FloodResult[]> {
  const found = states.map((state) => ({ state, quiet: [] as ConnectRound[], flooded: [] as FloodedRound[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { state, quiet, flooded } of round % 2 === 0 ? found : found.toReversed()) {
      quiet.push(await firstConnects(state, programs, connections));
      flooded.push(await flood(state, programs, connections));
    }
  }
  return found.map(({ state, quiet, flooded }) => summary(state.name, quiet, flooded));
}

interface FloodedRound extends ConnectRound {
  readonly floodPerSecond: number;
  readonly queuedPerSecond: number;
}

async function flood(
  state: QueuedState,
  programs: FloodOptions['programs'],
  connections: number,
): Promise<FloodedRound> {
  const { client, queue } = state;
  const program = startProgram(client.inside([programs.udpFlood, SERVER_ADDRESS]));
  try {
    await program.line(/^listening$/);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const [before, startedMs] = [await queueCounts(client, queue), performance.now()];
    const round = await firstConnects(state, programs, connections);
    const queued = (await queueCounts(client, queue)).packets - before.packets;
    const seconds = (performance.now() - startedMs) / 1000;
    const said = program.line(/^\{/);
    await program.stop();
    const { perSecond } = JSON.parse(await said) as { readonly perSecond: number };
    return { ...round, floodPerSecond: perSecond, queuedPerSecond: queued / seconds };
  } finally {
    await program.stop();
  }
}

function summary(name: string, quiet: readonly ConnectRound[], flooded: readonly FloodedRound[]): FloodResult {
  const p50 = (of: readonly ConnectRound[]): number[] => of.map(({ p50Us }) => p50Us);
  const p99 = (of: readonly ConnectRound[]): number[] => of.map(({ p99Us }) => p99Us);
  return {
    name,
    quiet: { p50Us: median(p50(quiet)), p99Us: median(p99(quiet)) },
    flooded: { p50Us: median(p50(flooded)), p99Us: median(p99(flooded)) },
    p50Ratio: medianRatio(p50(flooded), p50(quiet)),
    p99Ratio: medianRatio(p99(flooded), p99(quiet)),
    failed: flooded.reduce((sum, { failed }) => sum + failed, 0),
    floodPerSecond: median(flooded.map(({ floodPerSecond }) => floodPerSecond)),
    queuedPerSecond: median(flooded.map(({ queuedPerSecond }) => queuedPerSecond)),
  };
}
