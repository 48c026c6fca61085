/** Everything that tells whose a socket is. */

import type { CreatorEvidence, Evidence, MarkEvidence, SocketEvidence } from '../api/who.ts';
import { type CreatorRecord, describeExecutableKey, isSameExecutable } from '../bpf/records.ts';
import { isBroker } from '../identify/socket-broker.ts';
import { formatAddress } from '../net/address.ts';
import { type Flow, formatFlow } from '../net/flow.ts';
import { protocolName } from '../net/protocol.ts';
import type { EvidenceSources } from './evidence-sources.ts';
import { markInWords, programEvidence } from './mark-in-words.ts';
import { type OpenSocket, socketStateName } from './open-sockets.ts';
import { ancestorOf, startedMs } from './process-evidence.ts';
import { runsNothing } from './process-owner.ts';
import { account } from './unix-accounts.ts';

/** Of the processes that hold one socket. */
export const MAX_HOLDERS_SHOWN = 8;

export interface Holders {
  readonly holders: ReadonlyMap<number, readonly number[]>;
  readonly isCut: boolean;
}

export function socketEvidence(sources: EvidenceSources, socket: OpenSocket, holders: Holders): SocketEvidence {
  const { flow, inode, uid, cookie, cgroupId } = socket;
  const cgroup = sources.reader.cgroupOfSocket(cgroupId);
  return {
    flow: formatSocket(flow),
    state: socketStateName(socket),
    inode,
    ...(cookie !== undefined && { cookie: cookie.toString(16) }),
    user: account('user', uid),
    cgroup: cgroup === undefined ? { because: withoutCgroup(cgroupId) } : { path: cgroup },
    mark: markOf(sources, socket),
    creator: creatorOf(sources, socket),
    holders: holdersOfSocket(sources, inode, holders),
  };
}

/** As formatFlow; without what it has not got. */
export function formatSocket(flow: Flow): string {
  if (flow.destinationPort !== undefined || flow.destination.value !== 0n) return formatFlow(flow);
  const local = formatAddress(flow.source);
  if (flow.sourcePort === undefined) return `${protocolName(flow.protocol)} ${local}`;
  return `${protocolName(flow.protocol)} ${flow.source.family === 6 ? `[${local}]` : local}:${flow.sourcePort}`;
}

function withoutCgroup(id: bigint | undefined): string {
  return id === undefined ? 'the kernel does not tell it' : 'the cgroup in which it was made has gone';
}

function markOf({ numbers }: EvidenceSources, { mark, cookie }: OpenSocket): Evidence<MarkEvidence> {
  if (mark !== undefined) {
    // On a socket it is the wish of nobody, and its packets are asked about.
    return mark === 0 ? { mark: '0x00000000', meaning: 'none: its flows are asked about' } : markInWords(mark, numbers);
  }
  return { because: cookie === undefined ? 'the kernel shows none of such sockets' : 'the kernel does not show it' };
}

function creatorOf(sources: EvidenceSources, socket: OpenSocket): Evidence<CreatorEvidence> {
  const { marks, creators, proc, names, numbers, nowMs } = sources;
  const { cookie, inode, uid, cgroupId } = socket;
  if (marks === undefined) return { because: 'the kernel notes nothing: sockets are not marked on this machine' };
  if (cookie === undefined) return { because: 'the kernel does not tell which socket it is' };
  const record = marks.creatorOf(cookie);
  if (record === undefined) return { because: 'it was made before the daemon started, or many others since' };
  const { pid, startTicks, command, executable: key, number } = record;
  const process = pid > 0 ? sources.reader.read({ pid, startTimeTicks: startTicks }) : undefined;
  const isRunning = process !== undefined && !runsNothing({ ...process, commandLine: proc.commandLine(pid) ?? [] });
  const owner = creators?.ownerOf({ inode, uid, cookie, ...(cgroupId !== undefined && { cgroupId }) }, names);
  const path = owner?.kind === 'process' ? owner.executable : undefined;
  const runsNow = process === undefined ? undefined : programSince(sources, record, process.executable);
  const link = runsNow === undefined ? process?.executable : undefined;
  const opensForOthers = pid === 1 || (link !== undefined && isBroker(link, proc, pid));
  const shown = path ?? (opensForOthers ? link : undefined);
  return {
    pid,
    ...(pid > 0 && { startedMs: startedMs(startTicks, nowMs) }),
    isRunning,
    ...(runsNow !== undefined && { runsNow }),
    command,
    executable:
      shown === undefined ? { because: `nothing tells what the file is called (${fileText(key)})` } : { path: shown },
    executableKey: key,
    user: account('user', record.uid),
    ...(number > 0 && { program: programEvidence(number, numbers.programs) }),
    ...(opensForOthers && { isBroker: true }),
  };
}

/** What the process of a record runs, where that is another program: after exec(2) it is still the same process. */
function programSince(
  { marks, proc }: EvidenceSources,
  { pid, executable: key }: CreatorRecord,
  link: string | undefined,
): string | undefined {
  const now = link === undefined ? undefined : marks?.keyOfFile(proc.executableLink(pid));
  return now === undefined || isSameExecutable(now, key) ? undefined : link;
}

/** dev_t of the kernel: 12 bits major, 20 bits minor. */
function fileText(key: Parameters<typeof describeExecutableKey>[0]): string {
  const { inode, device } = describeExecutableKey(key);
  return `inode ${inode} of device ${device >>> 20}:${device & 0xfffff}`;
}

function holdersOfSocket(
  { proc }: EvidenceSources,
  inode: number,
  { holders, isCut }: Holders,
): SocketEvidence['holders'] {
  const found = holders.get(inode) ?? [];
  if (found.length > 0) return found.slice(0, MAX_HOLDERS_SHOWN).map((pid) => ancestorOf(proc, pid));
  return { because: isCut ? 'too many descriptors are open to find it' : 'no process that is visible here holds it' };
}
