/**
 * The slow path of identity, and the ground truth for every faster one: flow -> socket -> process -> owner. An owner that
 * cannot be found is `unknown` with the reason, and policy decides about it.
 */
import { type CgroupTree, openCgroupTree } from '../kernel/cgroup.ts';
import { openProc, type Proc } from '../kernel/proc.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, protocolName } from '../net/protocol.ts';
import type { Owner, ProcessOwner } from '../policy/identity.ts';
import { ProcessOfSocket } from './process-of-socket.ts';
import { ProcessReader } from './process-reader.ts';
import { SocketDiag, type SocketTables } from './socket-diag.ts';
import { findSocket, type SocketHint, type SocketOwner } from './socket-owner.ts';

/**
 * What is known besides the flow. `uid`: of the socket that sent the packet, `none` where the kernel says that no process's
 * socket did; absent where nobody looked.
 */
export interface IdentityHint {
  readonly uid?: number | 'none';
  readonly deviceIndex?: number;
}

/** Where identity is read, with its memory: one for each thread. */
export interface IdentitySources {
  readonly proc: Proc;
  readonly tables: SocketTables;
  readonly holders: ProcessOfSocket;
  readonly reader: ProcessReader;
}

export interface OpenIdentitySources extends IdentitySources {
  [Symbol.dispose](): void;
}

/** This machine's own, for the calling thread's network namespace. Throws KernelError. */
export function openIdentitySources(): OpenIdentitySources {
  const diag = new SocketDiag();
  return { ...identitySources(openProc(), diag, openCgroupTree()), [Symbol.dispose]: () => diag[Symbol.dispose]() };
}

export function identitySources(proc: Proc, tables: SocketTables, cgroups: CgroupTree | undefined): IdentitySources {
  return { proc, tables, holders: new ProcessOfSocket(proc), reader: new ProcessReader(proc, cgroups) };
}

const PROCESS_ENDED = 'its process has ended';
const HOLDER_HIDDEN = 'its socket belongs to a process that is not visible here, as in another pid namespace';

/** Never throws for a process or socket that goes away meanwhile. */
export function identifyFlow(sources: IdentitySources, flow: Flow, hint: IdentityHint = {}): Owner {
  const kernel: Owner = { kind: 'kernel', sender: protocolName(flow.protocol) };
  // A SYN-ACK has no full socket, so no uid, but a listener that a process owns.
  if (hint.uid === 'none' && flow.protocol !== IPPROTO_TCP) return kernel;
  const socketHint = toSocketHint(hint);
  const search = findSocket(sources, flow, socketHint);
  if (search.kind === 'none') return hint.uid === 'none' ? kernel : unknown(search.because);
  const owners = search.sockets.map((socket) => ownerOfSocket(sources, socket));
  const processes = owners.filter((owner) => owner.kind === 'process');
  const [first] = processes;
  if (first === undefined && hint.uid === 'none') return kernel;
  if (first === undefined) return explainMissing(sources, flow, socketHint, owners[0] ?? unknown('no socket'));
  const isAmbiguous = processes.some((other) => !isSameProgram(first, other));
  return isAmbiguous
    ? unknown('sockets of several programs may have sent it, and the packet does not tell which')
    : first;
}

function toSocketHint(hint: IdentityHint): SocketHint {
  return {
    ...(typeof hint.uid === 'number' && { uid: hint.uid }),
    ...(hint.deviceIndex !== undefined && { deviceIndex: hint.deviceIndex }),
  };
}

function unknown(because: string): Owner {
  return { kind: 'unknown', because };
}

function isSameProgram(a: ProcessOwner, b: ProcessOwner): boolean {
  return (
    a.pid === b.pid ||
    (a.executable !== undefined && a.executable === b.executable && a.uid === b.uid && a.cgroup === b.cgroup)
  );
}

function ownerOfSocket({ holders, reader }: IdentitySources, socket: SocketOwner): Owner {
  const holder = holders.find(socket.inode, socket.uid);
  if (holder.kind === 'not found') {
    return unknown(holder.gaveUp ? 'too many descriptors are open to find the one with its socket' : HOLDER_HIDDEN);
  }
  const facts = reader.read(holder);
  if (facts === undefined) return unknown(PROCESS_ENDED);
  const cgroup = reader.cgroup(holder.pid, socket.cgroupId);
  const { executable, commandLine } = facts;
  return {
    kind: 'process',
    pid: holder.pid,
    uid: socket.uid,
    ...(executable !== undefined && { executable }),
    ...(cgroup !== undefined && { cgroup }),
    ...(commandLine !== undefined && { commandLine }),
    ...(socket.accepted && { accepted: true }),
  };
}

/** A socket that nobody was seen to hold: either it went away during the search, or its holder cannot be seen. */
function explainMissing(sources: IdentitySources, flow: Flow, hint: SocketHint, owner: Owner): Owner {
  if (owner.kind !== 'unknown' || owner.because !== HOLDER_HIDDEN) return owner;
  return findSocket(sources, flow, hint).kind === 'none' ? unknown(PROCESS_ENDED) : owner;
}
