/** Results about telling programs apart, as tables. */
import type { Tier } from './daemon.ts';
import { ASKED, type IdentityResults } from './identity-results.ts';
import type { Table } from './table.ts';
import { count, microseconds, tenths, times } from './target.ts';

/** Why the numbers are what they are; kept beside the code that makes it true. */
export const IDENTITY_METHOD: readonly string[] = [
  'First connections: each is the only one of a new process, which runs a file of its own (a copy made just before), so nothing is',
  'known of it. It measures its own connect(2). The kernel decides about programs whose file and name no policy has; of those that',
  'are called as a program that a policy names, the daemon is asked once: the file, the command line, the cgroup and the user are',
  "found out anew. OpenSnitch is Debian's package with one rule that allows everything and no window. That every packet was asked",
  "about, where it has to be, is checked by the kernel's count of the queue. Sustained: the programs are called as named ones.",
  "Without BPF each connection's process has to be found by its descriptors; with it, all",
  'sockets are made before anything is known of the program, so that none carries a mark. A verdict is lost or late where the kernel',
  'dropped the packet, or the answer came later than the second after which TCP sends again. The flood is one socket that sends each',
  'datagram to another port, without a pause; the other application makes first connections as above. The cost of socket(2) is',
  'measured with one daemon at a time. A script that no policy names is started beside an equal one that a policy names, under the',
  'same daemon.',
];

export function identityTables(results: IdentityResults): Table[] {
  return [
    firstConnectTable(results),
    sustainedTable(results),
    floodTable(results),
    socketTable(results),
    scriptTable(results),
  ];
}

function firstConnectTable({ firstConnect, openSnitchMissing }: IdentityResults): Table {
  const measured = firstConnect.map(({ name, p50Us, p99Us, p50Ratio, p99Ratio, queued, connections, failed }) => [
    name,
    ...[p50Us, p99Us].map(microseconds),
    ...[p50Ratio, p99Ratio].map(times),
    ...[queued, connections, failed].map(count),
  ]);
  return {
    title: 'First TCP connect of an unknown process, microseconds',
    note: `Ratios are to "${ASKED.acceptAll}".`,
    head: ['who is there', 'p50', 'p99', 'p50 ratio', 'p99 ratio', 'queued', 'of', 'failed'],
    rows:
      openSnitchMissing === undefined
        ? measured
        : [...measured, [ASKED.openSnitch, `not measured: ${openSnitchMissing}`, '', '', '', '', '', '']],
  };
}

const sustainedTable = ({ sustained }: IdentityResults): Table => ({
  title: 'Unknown connections, sustained',
  head: ['sockets', 'connections', 'a second', 'p50, us', 'p99, us', 'queued', 'lost or late'],
  rows: sustained.map(({ name, connections, perSecond, p50Us, p99Us, queued, lostOrLate }) => [
    name,
    count(connections),
    count(perSecond),
    ...[p50Us, p99Us].map(microseconds),
    ...[queued, lostOrLate].map(count),
  ]),
});

const floodTable = ({ flood }: IdentityResults): Table => ({
  title: 'First connects beside a flood of another application, microseconds',
  head: [
    'who is asked',
    'p50',
    'p50 beside it',
    'ratio',
    'p99',
    'p99 beside it',
    'ratio',
    'failed',
    'flood, datagrams/s',
    'queued/s',
  ],
  rows: flood.map(({ name, quiet, flooded, p50Ratio, p99Ratio, failed, floodPerSecond, queuedPerSecond }) => [
    name,
    ...[quiet.p50Us, flooded.p50Us].map(microseconds),
    times(p50Ratio),
    ...[quiet.p99Us, flooded.p99Us].map(microseconds),
    times(p99Ratio),
    ...[failed, floodPerSecond, queuedPerSecond].map(count),
  ]),
});

const socketTable = ({ sockets, tiers }: IdentityResults): Table => ({
  title: 'socket(2), nanoseconds',
  note: tierNote('Executables are told by marks on sockets', tiers.executables),
  head: ['executables known', 'p50', 'p99', 'added to p50', 'p50 ratio'],
  rows: sockets.map(({ executables, p50Ns, p99Ns, p50Ratio }) => [
    executables === 0 ? 'no daemon' : count(executables),
    ...[p50Ns, p99Ns, p50Ns - (sockets[0]?.p50Ns ?? 0)].map(count),
    times(p50Ratio),
  ]),
});

const scriptTable = ({ script, tiers }: IdentityResults): Table => ({
  title: 'A shell script, from its start to its end',
  note: tierNote('Listed scripts wait until the daemon has seen them', tiers.scripts),
  head: ['script', 'p50', 'p99'],
  rows: [
    ['not listed', ...[script.unlisted.p50Ms, script.unlisted.p99Ms].map(tenths)],
    ['listed', ...[script.listed.p50Ms, script.listed.p99Ms].map(tenths)],
    ['added', ...[script.addedP50Ms, script.addedP99Ms].map(tenths)],
  ],
});

const tierNote = (what: string, { inKernel, because = '' }: Tier): string =>
  inKernel ? `${what}.` : `${what} - not here: ${because}.`;
