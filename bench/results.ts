/** What a run found out, as plain data, and what had to be reached. */
import { type IdentityResults, identityTargets } from './identity-results.ts';
import { type ChangeoverResult, changeoverTargets } from './measure-changeover.ts';
import type { ConnectResult } from './measure-connect.ts';
import type { ChangeResult, ColdResult } from './measure-scale.ts';
import type { ThroughputResult } from './measure-throughput.ts';
import { atLeast, atMost, megabytes, milliseconds, type Target, times } from './target.ts';

/** The states of the kernel that are compared. */
export const STATE = {
  none: 'no rules',
  conntrack: 'conntrack alone',
  kernelOnly: 'kernel-decided, no uplinks in use',
  kernel: 'kernel-decided',
  via: 'kernel-decided, via the uplink of the route',
  viaOther: 'kernel-decided, via another uplink',
  marked: 'marked sockets, via the uplink of the route',
  markedOther: 'marked sockets, via another uplink',
  many: 'kernel-decided, many applications',
  known: 'known executable, told by the mark of its socket',
  slowPath: 'slow path',
  acceptAll: 'C accept-all queue loop',
} as const;

export interface Environment {
  readonly date: string;
  readonly version: string;
  readonly kernel: string;
  readonly processors: number;
  readonly processor: string;
  readonly node: string;
  readonly queue: 'nft' | 'xtables';
  readonly command: string;
}

export interface BenchResults {
  readonly environment: Environment;
  readonly quick: boolean;
  /** Applications of the state `many`. */
  readonly manyApps: number;
  readonly rounds: number;
  readonly connections: number;
  readonly connect: readonly ConnectResult[];
  readonly throughput: readonly ThroughputResult[];
  readonly cold: readonly ColdResult[];
  readonly change: ChangeResult;
  readonly identity: IdentityResults;
  readonly changeover: readonly ChangeoverResult[];
}

const MOST_CONNECT_RATIO = 1.15;
const MOST_KNOWN_RATIO = 1.1;
const LEAST_THROUGHPUT_RATIO = 0.97;
/** A packet costs at most 1.05 times as much. */
const LEAST_MARKED_THROUGHPUT_RATIO = 1 / 1.05;
const MOST_MANY_RATIO = 1.1;
const MOST_COLD_MS = 5000;
const MOST_CHANGE_MS = 100;
const MOST_RESIDENT_BYTES = 100e6;
const MEMORY_APPS = 1000;

/** The project's promises, as far as this run can tell. */
export function targetsOf({
  connect,
  throughput,
  cold,
  change,
  identity,
  changeover,
  manyApps,
}: BenchResults): Target[] {
  const found = (name: string): ConnectResult | undefined => connect.find((result) => result.name === name);
  const [few, many] = [found(STATE.kernel), found(STATE.many)];
  const ways = [STATE.via, STATE.viaOther, STATE.marked, STATE.markedOther];
  const connectTargets = [STATE.kernelOnly, STATE.kernel, ...ways].flatMap((name) => {
    const ratio = found(name)?.p50Ratio;
    return ratio === undefined
      ? []
      : [atMost(`connect p50, ${name}, to ${STATE.conntrack}`, ratio, MOST_CONNECT_RATIO, times)];
  });
  const known = found(STATE.known)?.p50Ratio;
  const knownTarget =
    known === undefined
      ? []
      : [atMost(`connect p50, ${STATE.known}, to ${STATE.conntrack}`, known, MOST_KNOWN_RATIO, times)];
  const manyTarget =
    few === undefined || many === undefined
      ? []
      : [atMost(`connect p50, ${manyApps} applications to 10`, many.p50Us / few.p50Us, MOST_MANY_RATIO, times)];
  const marked: readonly string[] = [STATE.marked, STATE.markedOther];
  const throughputTargets = throughput
    .filter(({ name }) => name !== STATE.conntrack)
    .map(({ name, ratio }) => {
      const least = marked.includes(name) ? LEAST_MARKED_THROUGHPUT_RATIO : LEAST_THROUGHPUT_RATIO;
      return atLeast(`throughput, ${name}, to ${STATE.conntrack}`, ratio, least, times);
    });
  const largest = cold.at(-1);
  const memory = cold.find(({ apps }) => apps === MEMORY_APPS);
  return [
    ...connectTargets,
    ...manyTarget,
    ...throughputTargets,
    ...(largest === undefined
      ? []
      : [
          atMost(
            `${largest.apps} applications in force from cold`,
            largest.untilEnforcingMs,
            MOST_COLD_MS,
            milliseconds,
          ),
        ]),
    atMost(`one changed file of ${change.apps} live, median`, change.medianMs, MOST_CHANGE_MS, milliseconds),
    ...(memory === undefined
      ? []
      : [
          atMost(
            `memory of the daemon, ${MEMORY_APPS} applications`,
            memory.residentBytes,
            MOST_RESIDENT_BYTES,
            megabytes,
          ),
        ]),
    ...knownTarget,
    ...identityTargets(identity),
    ...changeoverTargets(changeover),
  ];
}
