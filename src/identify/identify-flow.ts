/**
 * The slow path of identity, and the ground truth for every faster one: flow -> socket -> process -> owner. An owner that
 * cannot be found is `unknown` with the reason, and policy decides about it.
 */
import { type CgroupTree, openCgroupTree } from '../kernel/cgroup.ts';
import { openProc, type Proc } from '../kernel/proc.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, protocolHasPorts } from '../net/protocol.ts';
import type { Owner, ProcessOwner, SingleOwner, UnknownOwner } from '../policy/identity.ts';
import { type CreatorMarks, CreatorOwners } from './creator-owner.ts';
import { ofAnyScript } from './ended-interpreter.ts';
import { ExecutableFiles } from './executable-files.ts';
import { isInterpreter } from './interpreter.ts';
import { ofAnyFamily } from './lost-families.ts';
import { parentApp } from './parent-app.ts';
import type { PolicyNames } from './policy-names.ts';
import { ProcessOfSocket, type SocketProcess } from './process-of-socket.ts';
import { ProcessReader } from './process-reader.ts';
import { isConnectedElsewhere } from './released-sockets.ts';
import { scriptOfProcess, scriptRunBy } from './script-of-process.ts';
import { SocketDiag, type SocketTables } from './socket-diag.ts';
import { findSocket, NO_INODE, type SocketHint, type SocketOwner, type SocketSearch } from './socket-owner.ts';

/**
 * What is known besides the flow. `uid`: of the socket that sent the packet, `none` where the kernel says that no process's
 * socket did; absent where nobody looked.
 */
export interface IdentityHint {
  readonly uid?: number | 'none';
  readonly gid?: number;
  readonly deviceIndex?: number;
  /** The packet was not sent before: whoever has closed his socket earlier is not its sender. Absent: it is no packet. */
  readonly notBeforeMs?: MonotonicMs;
  readonly names: PolicyNames;
}

/** Where identity is read, with its memory: one for each thread. */
export interface IdentitySources {
  readonly proc: Proc;
  readonly tables: SocketTables;
  readonly holders: ProcessOfSocket;
  readonly reader: ProcessReader;
  readonly executables: ExecutableFiles;
  /** Absent where the kernel notes nothing. */
  readonly creators?: CreatorOwners;
}

export interface OpenIdentitySources extends IdentitySources {
  [Symbol.dispose](): void;
}

/** This machine's own, for the calling thread's network namespace. Throws KernelError. */
export function openIdentitySources(marks?: CreatorMarks): OpenIdentitySources {
  const diag = new SocketDiag();
  const sources = identitySources(openProc(), diag, openCgroupTree(), marks);
  return { ...sources, [Symbol.dispose]: () => diag[Symbol.dispose]() };
}

export function identitySources(
  proc: Proc,
  tables: SocketTables,
  cgroups: CgroupTree | undefined,
  marks?: CreatorMarks,
): IdentitySources {
  const reader = new ProcessReader(proc, cgroups);
  const executables = new ExecutableFiles(proc);
  return {
    proc,
    tables,
    holders: new ProcessOfSocket(proc),
    reader,
    executables,
    ...(marks !== undefined && { creators: new CreatorOwners({ marks, proc, reader, executables }) }),
  };
}

const CLOSED = 'its socket has been closed, and nobody knows who made it';
const ERRAND = 'the kernel sends it for a program of this user';
const PROCESS_ENDED = 'its process has ended';
const HOLDER_HIDDEN = 'its socket belongs to a process that is not visible here, as in another pid namespace';
const TOO_MANY_OPEN = 'too many descriptors are open to find the one with its socket';
const EXECUTABLE_HIDDEN = 'the executable of its process cannot be read';

/** Never throws for a process or socket that goes away meanwhile. */
export function identifyFlow(sources: IdentitySources, flow: Flow, hint: IdentityHint): Owner {
  const isKernels = hint.uid === 'none';
  // No socket to look for: only of one with ports it can be told who made it.
  if (isKernels && !protocolHasPorts(flow.protocol)) return KERNEL;
  const socketHint = toSocketHint(hint);
  const search = withReleased(sources, flow, hint, findSocket(sources, flow, socketHint));
  if (search.kind === 'none') {
    // A SYN-ACK has no full socket, so no uid, but a listener that a process owns.
    const isEnded = flow.midstream && !flow.inbound && (!isKernels || flow.protocol === IPPROTO_TCP);
    if (isEnded) return { ...unknown(search.because, socketHint), ended: true };
    // Whatever opens a connection for itself has its socket still. One that is gone was opened for a program that has ended, as a path of MPTCP is.
    const isGone = flow.protocol === IPPROTO_TCP && !flow.inbound;
    return isKernels && !isGone ? KERNEL : unknown(search.because, socketHint);
  }
  const owners = search.sockets.flatMap((socket) => ownersOfSocket(sources, socket, hint));
  if (isKernels && (flow.protocol !== IPPROTO_TCP || owners.every(({ kind }) => kind === 'unknown')))
    return kernelOrErrand(owners);
  const [first, ...others] = distinct(owners);
  if (first === undefined) return unknown('no socket', socketHint);
  if (others.length > 0) return { kind: 'one of', candidates: [first, ...others] };
  const isThreads = isHiddenRoot(first) && search.sockets.every((socket) => isOfKernelThread(sources, socket));
  if (isThreads && isStillThere(sources, flow, socketHint)) return KERNEL;
  return first.kind === 'unknown' ? explainMissing(sources, flow, socketHint, first) : first;
}

const KERNEL: Owner = { kind: 'kernel' };
const ROOT = 0;

/**
 * The kernel opens sockets for itself as root. One that it has opened as somebody else does what a program of his asked for, by AF_SMC for
 * instance, and whatever policies say of that program holds: which one it is is not known.
 */
function kernelOrErrand(owners: readonly SingleOwner[]): Owner {
  const errand = owners.find((owner) => owner.kind === 'unknown' && owner.uid !== undefined && owner.uid !== ROOT);
  return errand === undefined || errand.kind !== 'unknown' ? KERNEL : { ...errand, because: ERRAND };
}

const isHiddenRoot = (owner: SingleOwner): boolean =>
  owner.kind === 'unknown' && owner.because === HOLDER_HIDDEN && owner.uid === ROOT;

/** kernel/cgroup/cgroup.c: `cgroup_id` of the root of the unified hierarchy. */
const ROOT_CGROUP = 1n;

/**
 * SUNRPC, which is NFS, gives its sockets a file, so that they have a user: root's. They are made by threads of the kernel's, whose cgroup is
 * the root, and of what the kernel itself makes nothing is noted. A program's, where its holder is hidden, is in the cgroup of that program.
 */
function isOfKernelThread({ creators }: IdentitySources, socket: SocketOwner): boolean {
  return socket.inode !== NO_INODE && socket.cgroupId === ROOT_CGROUP && creators?.isNoted(socket) !== true;
}

const isStillThere = (sources: IdentitySources, flow: Flow, hint: SocketHint): boolean =>
  findSocket(sources, flow, hint).kind === 'found';

/**
 * Whoever had the port and has closed his socket while the packet waited may have sent it: where nobody has the port any more, and where
 * somebody took it over (not of a connection, which has its addresses for itself).
 */
function withReleased(sources: IdentitySources, flow: Flow, hint: IdentityHint, search: SocketSearch): SocketSearch {
  const { creators } = sources;
  const { uid, notBeforeMs } = hint;
  if (creators === undefined || flow.inbound || typeof uid !== 'number' || notBeforeMs === undefined) return search;
  const living = search.kind === 'found' ? search.sockets : [];
  if (living.length > 0 && flow.protocol === IPPROTO_TCP) return search;
  const closed = creators
    .released(flow, notBeforeMs, uid)
    .filter(({ cookie }) => !living.some((other) => other.cookie === cookie));
  const likely = closed.filter((socket) => !isConnectedElsewhere(socket, flow));
  const gone = (living.length + likely.length > 0 ? likely : closed).map(({ cookie, creator }) => ({
    inode: NO_INODE,
    uid,
    cookie,
    ...(creator !== undefined && { creator }),
  }));
  const [first, ...others] = [...living, ...gone];
  return first === undefined ? search : { kind: 'found', sockets: [first, ...others] };
}

function toSocketHint(hint: IdentityHint): SocketHint {
  return {
    ...(typeof hint.uid === 'number' && { uid: hint.uid }),
    ...(hint.deviceIndex !== undefined && { deviceIndex: hint.deviceIndex }),
  };
}

/** What is known all the same: the user, and the cgroup in which the socket was made. */
function unknown(because: string, { uid, cgroup }: { readonly uid?: number; readonly cgroup?: string }): UnknownOwner {
  return {
    kind: 'unknown',
    because,
    ...(uid !== undefined && { uid }),
    ...(cgroup !== undefined && { cgroup }),
  };
}

/** Owners of which policy cannot think differently count once. */
function distinct(owners: readonly SingleOwner[]): SingleOwner[] {
  const kept: SingleOwner[] = [];
  for (const owner of owners) if (!kept.some((other) => isSame(owner, other))) kept.push(owner);
  return kept;
}

function isSame(a: SingleOwner, b: SingleOwner): boolean {
  if (a.kind === 'unknown' && b.kind === 'unknown') return a.uid === b.uid && a.cgroup === b.cgroup;
  if (a.kind !== 'process' || b.kind !== 'process') return false;
  const isSameProgram = a.executable === b.executable && a.executableUnproven === b.executableUnproven;
  const isSameCause = a.script === b.script && a.childOf === b.childOf;
  const isSameGroup = a.uid === b.uid && a.gid === b.gid && a.cgroup === b.cgroup;
  return isSameProgram && isSameCause && isSameGroup && a.accepted === b.accepted;
}

function ownersOfSocket(sources: IdentitySources, socket: SocketOwner, hint: IdentityHint): SingleOwner[] {
  const { holders, reader, creators } = sources;
  const creator = creators?.ownerOf(socket, hint.names);
  if (creator !== undefined) return possibleOwners(sources, withFamily(sources, creator, hint), hint);
  if (socket.inode === NO_INODE) return [unknown(CLOSED, socket)];
  const search = holders.find(socket.inode, socket.uid, (executable) => hint.names.hasExecutable(executable));
  if (search.kind === 'found') {
    const owners = search.processes.map((process) => ownerOf(sources, process, socket, hint));
    return owners.flatMap((owner) => possibleOwners(sources, owner, hint));
  }
  const cgroup = reader.cgroupOfSocket(socket.cgroupId);
  const known = { uid: socket.uid, ...(cgroup !== undefined && { cgroup }) };
  return [unknown(search.gaveUp ? TOO_MANY_OPEN : HOLDER_HIDDEN, known)];
}

function possibleOwners(sources: IdentitySources, owner: SingleOwner, { names }: IdentityHint): SingleOwner[] {
  const { creators } = sources;
  const known = asItWas(owner).flatMap((each) => withOuterScript(sources, each, names));
  const owners = known.flatMap((each) => ofAnyScript(each, names));
  const mayBeChild = creators?.hasLostFamilies === true || (owner.kind === 'process' && owner.mayBeChild === true);
  return mayBeChild ? owners.flatMap((each) => ofAnyFamily(each, names)) : owners;
}

/** Where nobody sees scripts start: a program that was given a named script may be what interprets that. */
function withOuterScript({ proc, creators }: IdentitySources, owner: SingleOwner, names: PolicyNames): SingleOwner[] {
  if (creators !== undefined || owner.kind !== 'process' || !mayRunScript(owner, names)) return [owner];
  const script = scriptOfProcess(proc, owner.pid, names.scripts, () => true);
  return script === undefined || script === owner.script ? [owner] : [owner, { ...owner, script }];
}

/** Never by an old permission alone, nor past an old refusal. */
function asItWas(owner: SingleOwner): SingleOwner[] {
  if (owner.kind !== 'process' || owner.formerly === undefined) return [owner];
  const { formerly, ...now } = owner;
  const { executableUnproven: _, ...was } = { ...now, executable: formerly };
  return [was, now];
}

/** What the kernel did not note of a living process: the script it runs, and who started it. */
function withFamily(sources: IdentitySources, owner: SingleOwner, { names }: IdentityHint): SingleOwner {
  if (owner.kind !== 'process' || owner.foundBy === 'former creator') return owner;
  const { pid } = owner;
  const asksScript = owner.script === undefined && mayRunScript(owner, names);
  const run = asksScript ? scriptRunBy(sources.proc, pid, names.scripts) : undefined;
  const script = owner.script ?? (run?.kind === 'listed' ? run.path : undefined);
  const childOf = owner.childOf ?? (names.anyChildren ? parentApp(sources, pid, names) : undefined);
  // Whose start nobody saw, and who lives and says what it runs, is told by that.
  const isTold = run?.kind === 'none' && owner.mayHaveRunScript === true;
  if (script === owner.script && childOf === owner.childOf && !isTold) return owner;
  const { mayHaveRunScript: _, ...told } = owner;
  return {
    ...(isTold ? told : owner),
    ...(script !== undefined && { script }),
    ...(childOf !== undefined && { childOf }),
  };
}

/** Where it is not what the process itself calls its program, it may be another name of an interpreter. */
function mayRunScript({ executable, executableUnproven }: ProcessOwner, { scripts }: PolicyNames): boolean {
  const isOtherProgram = executableUnproven === true && executable !== undefined && !isInterpreter(executable);
  return scripts.size > 0 && !isOtherProgram;
}

function ownerOf(
  sources: IdentitySources,
  process: SocketProcess,
  { uid, cgroupId, accepted }: SocketOwner,
  hint: IdentityHint,
): SingleOwner {
  const { reader, executables } = sources;
  const { pid } = process;
  const facts = reader.read(process);
  const cgroup = facts === undefined ? reader.cgroupOfSocket(cgroupId) : reader.cgroup(pid, cgroupId);
  const gid = hint.gid ?? sources.proc.gid(pid);
  const known = { uid, ...(gid !== undefined && { gid }), ...(cgroup !== undefined && { cgroup }) };
  if (facts === undefined) return unknown(PROCESS_ENDED, known);
  const { executable: link } = facts;
  // Who holds a socket is no kernel thread, so it has one: unless nobody may see it, or it is ending.
  if (link === undefined) return unknown(EXECUTABLE_HIDDEN, known);
  const named = executables.namedPathOf(pid, link, hint.names);
  const owner: SingleOwner = {
    kind: 'process',
    pid,
    ...known,
    executable: named ?? link,
    ...(named === undefined && { executableUnproven: true }),
    ...(accepted && { accepted: true }),
    foundBy: 'holder',
  };
  return withFamily(sources, owner, hint);
}

/** A socket that nobody was seen to hold: either it went away during the search, or its holder cannot be seen. */
function explainMissing(sources: IdentitySources, flow: Flow, hint: SocketHint, owner: UnknownOwner): Owner {
  if (owner.because !== HOLDER_HIDDEN) return owner;
  return isStillThere(sources, flow, hint) ? owner : unknown(PROCESS_ENDED, owner);
}
