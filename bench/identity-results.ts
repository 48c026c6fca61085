/** What a run found out about telling programs apart, as plain data, and what had to be reached. */
import type { Identity } from './daemon.ts';
import type { FirstConnectResult } from './measure-first-connect.ts';
import type { FloodResult } from './measure-flood.ts';
import type { ScriptStartResult } from './measure-script-start.ts';
import type { SocketResult } from './measure-socket.ts';
import type { SustainedResult } from './measure-sustained.ts';
import { atLeast, atMost, count, notMeasured, type Target, tenths, times } from './target.ts';

/** Who answers for a process that nobody has seen before. */
export const ASKED = {
  conntrack: 'nobody: conntrack alone',
  acceptAll: 'C accept-all queue loop',
  daemon: 'pointsman',
  namesake: 'pointsman, called as a named program',
  withoutBpf: 'pointsman without BPF',
  openSnitch: 'OpenSnitch, processes by /proc',
} as const;

export interface KnownResult {
  readonly connections: number;
  /** Packets that went to user space meanwhile. */
  readonly queued: number;
}

export interface IdentityResults {
  /** Of the daemon that has everything. */
  readonly tiers: Identity;
  readonly known: KnownResult;
  readonly firstConnect: readonly FirstConnectResult[];
  /** Why OpenSnitch is not among them. */
  readonly openSnitchMissing?: string;
  readonly sustained: readonly SustainedResult[];
  readonly flood: readonly FloodResult[];
  /** The first is without a daemon. */
  readonly sockets: readonly SocketResult[];
  readonly script: ScriptStartResult;
}

const MOST_KNOWN_QUEUED = 0;
const MOST_UNKNOWN_QUEUED = 0;
const MOST_FIRST_RATIO = 2;
const LEAST_OPENSNITCH_RATIO = 5;
export const LEAST_SUSTAINED_PER_SECOND = 5000;
const MOST_LOST = 0;
/** Of two processors the flood takes one: the rest of the machine is slower, too, whoever answers. */
const MOST_FLOOD_RATIO = 2;
const MOST_SOCKET_RATIO = 1.1;
const MOST_SCRIPT_MS = 1;

export function identityTargets(results: IdentityResults): Target[] {
  const { known, sustained, flood, sockets, script, tiers } = results;
  return [
    atMost(
      `packets queued for ${known.connections} connections of a known executable`,
      known.queued,
      MOST_KNOWN_QUEUED,
      count,
    ),
    ...firstConnectTargets(results),
    ...sustained.flatMap(({ name, perSecond, lostOrLate }) => [
      atLeast(`new connections a second, ${name}`, perSecond, LEAST_SUSTAINED_PER_SECOND, count),
      atMost(`of them without a timely verdict, ${name}`, lostOrLate, MOST_LOST, count),
    ]),
    ...flood
      .filter(({ name }) => name !== ASKED.acceptAll)
      .flatMap(({ name, p50Ratio, p99Ratio }) => [
        atMost(`another's first connect p50 beside a flood to without, ${name}`, p50Ratio, MOST_FLOOD_RATIO, times),
        atMost(`another's first connect p99 beside a flood to without, ${name}`, p99Ratio, MOST_FLOOD_RATIO, times),
      ]),
    ...socketTargets(sockets, tiers),
    scriptTarget(script, tiers),
  ];
}

function firstConnectTargets({ firstConnect, openSnitchMissing }: IdentityResults): Target[] {
  const found = (name: string): FirstConnectResult | undefined => firstConnect.find((result) => result.name === name);
  const [daemon, acceptAll, openSnitch] = [found(ASKED.daemon), found(ASKED.acceptAll), found(ASKED.openSnitch)];
  const namesake = found(ASKED.namesake);
  if (daemon === undefined || namesake === undefined || acceptAll === undefined) return [];
  const what = `first connect p50 of an unknown process, ${ASKED.openSnitch}, to ${ASKED.daemon}`;
  const toLoop = ({ name, p50Ratio }: FirstConnectResult): Target =>
    atMost(
      `first connect p50 of an unknown process, ${name}, to ${ASKED.acceptAll}`,
      p50Ratio / acceptAll.p50Ratio,
      MOST_FIRST_RATIO,
      times,
    );
  return [
    atMost(
      `packets queued for ${daemon.connections} first connections of unknown processes`,
      daemon.queued,
      MOST_UNKNOWN_QUEUED,
      count,
    ),
    toLoop(daemon),
    toLoop(namesake),
    openSnitch === undefined
      ? notMeasured(what, `at least ${times(LEAST_OPENSNITCH_RATIO)}`, openSnitchMissing ?? '')
      : atLeast(what, openSnitch.p50Us / daemon.p50Us, LEAST_OPENSNITCH_RATIO, times),
  ];
}

function socketTargets([, few, ...others]: readonly SocketResult[], { executables }: Identity): Target[] {
  const many = others.at(-1);
  if (few === undefined || many === undefined) return [];
  const what = `socket(2) p50, ${many.executables} executables known to ${few.executables}`;
  return executables.inKernel
    ? [atMost(what, many.p50Ns / few.p50Ns, MOST_SOCKET_RATIO, times)]
    : [notMeasured(what, `at most ${times(MOST_SOCKET_RATIO)}`, executables.because ?? '')];
}

function scriptTarget({ addedP50Ms }: ScriptStartResult, { scripts }: Identity): Target {
  const what = 'start of a listed script, median added';
  return scripts.inKernel
    ? atMost(what, addedP50Ms, MOST_SCRIPT_MS, tenths)
    : notMeasured(what, `at most ${tenths(MOST_SCRIPT_MS)}`, scripts.because ?? '');
}
