/**
 * How long socket(2) takes where sockets are marked: by how many executables are known. What marks them hangs on the whole
 * machine, so only one daemon may run at a time, and none for the state without.
 */
import type { Client } from './bench-world.ts';
import type { ConnectRound } from './measure-connect.ts';
import { type Bed, startIn } from './measure-scale.ts';
import { runJson } from './programs.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';
import { median, medianRatio } from './statistics.ts';
import { writeExecutables } from './write-executables.ts';

export interface SocketResult {
  /** Executables that policies name; 0: no daemon runs. */
  readonly executables: number;
  /** Medians over the rounds, nanoseconds. */
  readonly p50Ns: number;
  readonly p99Ns: number;
  /** To no daemon: median of the rounds' ratios. */
  readonly p50Ratio: number;
}

export interface SocketOptions {
  readonly executables: readonly number[];
  readonly rounds: number;
  readonly sockets: number;
}

/** A daemon that has just begun to enforce still tidies up. */
const REST_MS = 2000;

/** The first result is that without a daemon. */
export async function measureSocket(
  { world, programs }: Bed,
  { executables, rounds, sockets }: SocketOptions,
): Promise<SocketResult[]> {
  const client = await world.addClient('socket');
  const dir = await makeScratchDir('executables');
  try {
    const files = await writeExecutables(dir, Math.max(...executables));
    const sizes = [0, ...executables];
    const found = new Map<number, ConnectRound[]>(sizes.map((size) => [size, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const size of round % 2 === 0 ? sizes : sizes.toReversed()) {
        // The load's own program is one of them.
        const policies = { apps: size, executable: programs.socketCost, executables: files.slice(1, size) };
        await using _daemon = size === 0 ? undefined : await startIn(client, programs, policies);
        if (size > 0) await new Promise((resolve) => setTimeout(resolve, REST_MS));
        found.get(size)?.push(await socketCost(client, programs.socketCost, sockets));
      }
    }
    return sizes.map((size) => summary(size, found.get(size) ?? [], found.get(0) ?? []));
  } finally {
    await removeScratchDir(dir);
  }
}

function socketCost(client: Client, program: string, sockets: number): Promise<ConnectRound> {
  return runJson<ConnectRound>(client.inside([program, `${sockets}`]));
}

const NS_PER_US = 1000;

function summary(executables: number, rounds: readonly ConnectRound[], none: readonly ConnectRound[]): SocketResult {
  const p50 = (of: readonly ConnectRound[]): number[] => of.map(({ p50Us }) => p50Us * NS_PER_US);
  return {
    executables,
    p50Ns: median(p50(rounds)),
    p99Ns: median(rounds.map(({ p99Us }) => p99Us * NS_PER_US)),
    p50Ratio: medianRatio(p50(rounds), p50(none)),
  };
}
