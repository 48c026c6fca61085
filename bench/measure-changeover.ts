/**
 * How long new connections find no way after an uplink is lost: from the moment at which the kernel tells of the loss until a
 * connection by the next uplink has succeeded. With few applications and with many, all of which prefer the uplink that goes.
 */
import type { Client } from './bench-world.ts';
import { CONNECT_PORT, SERVER_ADDRESS, UPLINKS } from './bench-world.ts';
import { type Bed, startIn } from './measure-scale.ts';
import { runProgram, startProgram } from './programs.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';
import { median } from './statistics.ts';
import type { Table } from './table.ts';
import { atMost, milliseconds, type Target, tenths } from './target.ts';
import { writeExecutables } from './write-executables.ts';

export interface ChangeoverResult {
  readonly apps: number;
  readonly flaps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export interface ChangeoverExtent {
  readonly apps: readonly number[];
  readonly flaps: number;
}

/** A daemon that has just begun to enforce still tidies up: it keeps copies of all files. */
const REST_MS = 5000;
const MOST_P99_MS = 50;
const NS_PER_MS = 1e6;
const [MAIN] = UPLINKS;

/** What marks sockets hangs on the whole machine: no other daemon may run meanwhile. */
export async function measureChangeover(
  { world, programs }: Bed,
  { apps, flaps }: ChangeoverExtent,
): Promise<ChangeoverResult[]> {
  const client = await world.addClient('changeover');
  const dir = await makeScratchDir('executables');
  try {
    const executables = await writeExecutables(dir, Math.max(...apps));
    const found: ChangeoverResult[] = [];
    for (const size of apps) {
      const policies = { apps: size, moving: programs.changeOver, executables: executables.slice(0, size) };
      await using _daemon = await startIn(client, programs, policies);
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      found.push(summary(size, await loseAgainAndAgain(client, programs.changeOver, flaps)));
    }
    return found;
  } finally {
    await removeScratchDir(dir);
  }
}

async function loseAgainAndAgain(client: Client, program: string, flaps: number): Promise<number[]> {
  const { gateway, address } = await defaultRoute(client);
  const words = [SERVER_ADDRESS, `${CONNECT_PORT}`, MAIN.name, address, `${flaps}`];
  const load = startProgram(client.inside([program, ...words]));
  const took: number[] = [];
  try {
    while (took.length < flaps) {
      await load.line(/^ready$/);
      await must(client, ['ip', 'link', 'set', MAIN.name, 'down']);
      took.push(Number(await load.line(/^\d+$/)) / NS_PER_MS);
      await must(client, ['ip', 'link', 'set', MAIN.name, 'up']);
      await must(client, ['ip', 'route', 'add', 'default', 'via', gateway, 'metric', `${MAIN.metric}`]);
    }
    return took;
  } finally {
    await load.stop();
  }
}

async function defaultRoute(client: Client): Promise<{ readonly gateway: string; readonly address: string }> {
  const [, network] = /inet (\S+)\.2\//.exec(await must(client, ['ip', 'address', 'show', 'dev', MAIN.name])) ?? [];
  return { gateway: `${network}.1`, address: `${network}.2` };
}

async function must(client: Client, command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runProgram(client.inside(command));
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.trim() || `status ${status}`}`);
  return stdout;
}

function summary(apps: number, took: readonly number[]): ChangeoverResult {
  const sorted = took.toSorted((a, b) => a - b);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
  return { apps, flaps: took.length, p50Ms: median(took), p99Ms: p99, slowestMs: sorted.at(-1) ?? 0 };
}

export function changeoverTargets(results: readonly ChangeoverResult[]): Target[] {
  return results.map(({ apps, flaps, p99Ms }) =>
    atMost(
      `new connections by the next uplink after a loss, p99 of ${flaps}, ${apps} applications`,
      p99Ms,
      MOST_P99_MS,
      milliseconds,
    ),
  );
}

export const changeoverTable = (results: readonly ChangeoverResult[]): Table => ({
  title: 'Change-over: from the news of a lost uplink until a connection by the next',
  note: 'A known executable that prefers the uplink that goes, as do all others; `ip link set down`.',
  head: ['applications', 'p50', 'p99', 'slowest', 'losses'],
  rows: results.map(({ apps, flaps, p50Ms, p99Ms, slowestMs }) => [
    `${apps}`,
    ...[p50Ms, p99Ms, slowestMs].map(tenths),
    `${flaps}`,
  ]),
});
