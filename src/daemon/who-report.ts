/** `POST /v1/who`: the evidence about a process, or about live flows. */
import { type FlowQuery, matchesFlow } from '../api/flow-query.ts';
import {
  type FlowEvidence,
  type FlowsReport,
  isMissing,
  type OwnerEvidence,
  type ProcessReport,
  type SocketEvidence,
} from '../api/who.ts';
import { identifyFlow } from '../identify/identify-flow.ts';
import { findSocket } from '../identify/socket-owner.ts';
import { type Address, formatAddress, isLoopbackAddress } from '../net/address.ts';
import { type Flow, formatFlow } from '../net/flow.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { readMark } from '../plan/flow-mark.ts';
import { APP_KERNEL, APP_NONE } from '../plan/reserved.ts';
import type { KernelOwner, Owner, ProcessOwner, SingleOwner } from '../policy/identity.ts';
import { kernelSender } from '../policy/kernel-senders.ts';
import { matchKernel } from '../policy/match-app.ts';
import type { EvidenceSources } from './evidence-sources.ts';
import { HeldSockets, holdersOf } from './held-sockets.ts';
import { type LiveFlow, liveFlows } from './live-flow-search.ts';
import { markInWords } from './mark-in-words.ts';
import { isListening, type OpenSocket, openSockets } from './open-sockets.ts';
import { applicationEvidence, processEvidence } from './process-evidence.ts';
import { ownerOfProcess, runsNothing } from './process-owner.ts';
import { formatSocket, socketEvidence } from './socket-evidence.ts';

/** Flows that one answer is about. */
export const MAX_FLOWS = 16;
/** Sockets of one process that are told about. */
export const MAX_SOCKETS = 16;

/** `undefined` where there is no such process. */
export async function whoIsProcess(sources: EvidenceSources, pid: number): Promise<ProcessReport | undefined> {
  const { proc, names } = sources;
  const owner = ownerOfProcess(sources, pid, names);
  const process = owner === undefined ? undefined : await processEvidence(sources, owner);
  if (owner === undefined || process === undefined) return undefined;
  const inodes = new Set(new HeldSockets(proc).of(pid));
  const sockets = openSockets(sources.tables, proc).filter(({ inode }) => inodes.has(inode));
  const shown = sockets.slice(0, MAX_SOCKETS);
  const holders = await holdersOf(proc, new Set(shown.map(({ inode }) => inode)));
  return {
    kind: 'process',
    process,
    application: applicationEvidence(sources, owner),
    sockets: shown.map((socket) => socketEvidence(sources, socket, holders)),
    moreSockets: sockets.length - shown.length,
  };
}

/** `undefined` where no live flow is meant. Throws KernelError. */
export async function whoIsFlow(sources: EvidenceSources, query: FlowQuery): Promise<FlowsReport | undefined> {
  const open = openSockets(sources.tables, sources.proc);
  const entries = sources.conntrack.ownEntries();
  const seen = { entries, sockets: open, isOwn: ownAddresses(sources.routing) };
  const found = liveFlows(seen, (flow) => matchesFlow(query, flow));
  const shown = found.slice(0, MAX_FLOWS);
  if (shown.length === 0) return undefined;
  const looked = shown.map((live) => ({ live, sockets: socketsOf(sources, live, open) }));
  const inodes = looked.flatMap(({ sockets }) => ('because' in sockets ? [] : sockets.map(({ inode }) => inode)));
  const holders = await holdersOf(sources.proc, new Set(inodes));
  const flows: FlowEvidence[] = [];
  for (const { live, sockets } of looked) {
    const evidence = 'because' in sockets ? sockets : sockets.map((socket) => socketEvidence(sources, socket, holders));
    flows.push(await flowEvidence(sources, live, evidence));
  }
  return { kind: 'flows', flows, more: found.length - shown.length };
}

function ownAddresses(routing: EvidenceSources['routing']): (address: Address) => boolean {
  const own = new Set(routing.addresses().map(({ address }) => formatAddress(address)));
  return (address) => isLoopbackAddress(address) || own.has(formatAddress(address));
}

/** The one that is known, or those that may have sent it. */
function socketsOf(
  sources: EvidenceSources,
  { socket, flow, isForwarded }: LiveFlow,
  open: readonly OpenSocket[],
): readonly OpenSocket[] | { readonly because: string } {
  if (isForwarded) return { because: 'it passes through: no socket is this host’s' };
  if (socket !== undefined) return [socket];
  const search = findSocket(sources, flow, {});
  if (search.kind === 'none') return { because: search.because };
  const inodes = new Set(search.sockets.map(({ inode }) => inode));
  const sockets = open.filter(({ inode }) => inodes.has(inode));
  return sockets.length === 0 ? { because: 'its socket was closed just now' } : sockets;
}

async function flowEvidence(
  sources: EvidenceSources,
  live: LiveFlow,
  sockets: FlowEvidence['sockets'],
): Promise<FlowEvidence> {
  const { flow, entry } = live;
  const owner = withSender(sources, live, ownerOf(sources, live));
  return {
    flow:
      entry === undefined
        ? formatSocket(flow.inbound ? (live.socket?.flow ?? flow) : flow)
        : formatFlow(entryFlow(entry)),
    direction: directionOf(live, owner),
    conntrack: entry === undefined ? { because: withoutEntry(live) } : markInWords(entry.mark, sources.numbers),
    sockets,
    owners: await ownersEvidence(sources, owner, sockets),
  };
}

/** A packet says whether a process sent it; without one it is what was decided about the flow. */
function withSender({ facts, index, numbers }: EvidenceSources, { flow, entry }: LiveFlow, owner: Owner): Owner {
  if (flow.inbound || (owner.kind !== 'kernel' && owner.kind !== 'unknown')) return owner;
  const sender = kernelSender(facts, flow);
  if (owner.kind === 'kernel') return { ...owner, sender };
  const number = entry === undefined ? APP_NONE : readMark(entry.mark).appId;
  const stated = matchKernel(index, sender)?.policy.app;
  const isKernels = number === APP_KERNEL || (stated !== undefined && numbers.apps.get(stated) === number);
  return isKernels ? { kind: 'kernel', sender } : owner;
}

const entryFlow = ({ original }: ConntrackEntry): Flow => ({ ...original, loopback: false });

function withoutEntry({ socket }: LiveFlow): string {
  return socket !== undefined && (isListening(socket) || socket.flow.destinationPort === undefined)
    ? 'it is no connection'
    : 'no connection of these addresses has been decided';
}

/** A connection that nobody saw open is looked at as if in mid-stream: then a listener's port tells that it came in. */
function ownerOf(sources: EvidenceSources, { flow, entry, isForwarded }: LiveFlow): Owner {
  if (isForwarded) return { kind: 'unknown', because: 'it passes through: its sender is another host or namespace' };
  const isOpen = entry === undefined && flow.protocol === IPPROTO_TCP && flow.inbound === undefined;
  const owner = identifyFlow(sources, isOpen ? { ...flow, midstream: true } : flow, { names: sources.names });
  if (owner.kind === 'one of')
    return { ...owner, candidates: owner.candidates.map((each) => confirmed(sources, each)) };
  return confirmed(sources, owner);
}

/** Nobody waits for the answer as a packet does. */
function confirmed<T extends Owner>({ creators }: EvidenceSources, owner: T): T | ProcessOwner {
  return owner.kind === 'process' && creators !== undefined ? creators.confirm(owner) : owner;
}

function directionOf({ flow, entry, socket, isForwarded }: LiveFlow, owner: Owner): FlowEvidence['direction'] {
  if (isForwarded) return 'through';
  if (entry !== undefined) return flow.inbound ? 'in' : 'out';
  if (flow.inbound) return 'waiting for others';
  if (owner.kind === 'process' && owner.accepted) return 'in';
  return socket?.flow.protocol === IPPROTO_TCP && owner.kind === 'process' ? 'out' : 'not known';
}

async function ownersEvidence(
  sources: EvidenceSources,
  owner: Owner,
  sockets: FlowEvidence['sockets'],
): Promise<readonly OwnerEvidence[]> {
  const singles = owner.kind === 'one of' ? owner.candidates : [owner];
  const known: readonly SocketEvidence[] = 'because' in sockets ? [] : sockets;
  return Promise.all(singles.map((single) => ownerEvidence(sources, single, known)));
}

async function ownerEvidence(
  sources: EvidenceSources,
  owner: SingleOwner,
  sockets: readonly SocketEvidence[],
): Promise<OwnerEvidence> {
  const application = applicationEvidence(sources, owner);
  if (owner.kind !== 'process') {
    const because = owner.kind === 'kernel' ? `no process sends it${senderText(owner)}` : owner.because;
    return { found: foundText(owner, sockets), process: { because }, application };
  }
  const found = foundText(owner, sockets);
  const because = owner.foundBy === 'former creator' ? becomeOf(owner, sockets) : undefined;
  if (because !== undefined) return { found, process: { because }, application };
  const now = ownerOfProcess(sources, owner.pid, sources.names);
  const process = now === undefined || runsNothing(now) ? undefined : await processEvidence(sources, now);
  return { found, process: process ?? { because: hasEnded(owner) }, application };
}

/** What became of the process that made a socket; `undefined` where it runs what it ran, though the file has changed since. */
function becomeOf(owner: ProcessOwner, sockets: readonly SocketEvidence[]): string | undefined {
  const made = sockets
    .flatMap(({ creator }) => (isMissing(creator) ? [] : [creator]))
    .find(({ pid, executableKey }) => pid === owner.pid && executableKey === owner.executableKey);
  if (made === undefined) return `process ${owner.pid} has ended or runs another program now`;
  if (!made.isRunning) return hasEnded(owner);
  return made.runsNow === undefined ? undefined : `process ${owner.pid} runs another program now (${made.runsNow})`;
}

const senderText = ({ sender }: KernelOwner): string => (sender === undefined ? '' : `: the kernel does (${sender})`);

const hasEnded = ({ pid }: ProcessOwner): string => `process ${pid} has ended`;

function foundText(owner: SingleOwner, sockets: readonly SocketEvidence[]): string {
  if (owner.kind === 'kernel') return 'no socket of a process sends it';
  if (owner.kind === 'unknown') return `unknown, because ${owner.because}`;
  const isBrokered = sockets.some(({ creator }) => 'isBroker' in creator && creator.isBroker === true);
  switch (owner.foundBy) {
    case 'creator':
    case 'former creator':
      return 'it made the socket, as the kernel noted';
    default:
      return isBrokered ? 'it holds the socket, which was opened for it' : 'it holds the socket';
  }
}
