/** A person's question, with everything it needs of the machine looked up: the same for the daemon and for the command line. */
import { realpathSync } from 'node:fs';
import { openProc, type Proc } from '../kernel/proc.ts';
import { type Address, isLoopbackAddress, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { howTold } from '../plan/compile-identity.ts';
import type { Host } from '../plan/host.ts';
import type { DecideContext } from '../policy/decide.ts';
import { type ExplainQuery, type Explanation, explain, type Subject } from '../policy/explain.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { type AppMatch, matchApp } from '../policy/match-app.ts';
import type { LookUp } from './name-lookup.ts';

/** The question is about something that is not there. */
export class UnknownSubject extends Error {
  override readonly name = 'UnknownSubject';
}

export interface ExplainSources {
  readonly context: DecideContext;
  readonly host: Host;
  readonly lookUp: LookUp;
  readonly proc?: Proc;
}

const ECHO_REQUEST = 8;
const ECHO_REQUEST_V6 = 128;
const NO_PID = 0;
/** No user has it (uid_t -1 is reserved), so no `user` entry matches a program that is not running. */
const NO_UID = 0xffffffff;
/** Names in explanations may have many addresses. */
const MAX_EXPLAINED_ADDRESSES = 32;

/** Throws UnknownSubject. */
export async function answerExplainQuery(sources: ExplainSources, query: ExplainQuery): Promise<Explanation> {
  const subject = subjectOf(sources, query);
  const { addresses, note } = await addressesOf(sources, query.host);
  return explain(sources.context, {
    subject,
    destination: destinationText(query),
    ...(note !== undefined && { nameNote: note }),
    flows: addresses.slice(0, MAX_EXPLAINED_ADDRESSES).map((address) => flowTo(address, query)),
    path: kernelPath(sources, subject),
  });
}

function subjectOf({ context, proc = openProc() }: ExplainSources, { app, exe, pid }: ExplainQuery): Subject {
  if (app !== undefined) {
    const policy = context.policySet.apps.find((candidate) => candidate.app === app);
    if (policy === undefined) throw new UnknownSubject(`no policy file is about ${JSON.stringify(app)}`);
    return { kind: 'app', policy };
  }
  if (exe !== undefined) {
    const executable = resolved(exe);
    const called = executable === exe ? exe : `${exe} (${executable})`;
    return { kind: 'owner', owner: { kind: 'process', pid: NO_PID, uid: NO_UID, executable }, called };
  }
  if (pid === undefined) throw new UnknownSubject('nobody is asked about');
  const owner = processOwner(proc, pid);
  if (owner === undefined) throw new UnknownSubject(`there is no process ${pid}`);
  return {
    kind: 'owner',
    owner,
    called: `process ${pid}${owner.executable === undefined ? '' : ` (${owner.executable})`}`,
  };
}

function processOwner(proc: Proc, pid: number): ProcessOwner | undefined {
  const uid = proc.uid(pid);
  if (uid === undefined) return undefined;
  const executable = proc.executable(pid);
  const cgroup = proc.cgroup(pid);
  return {
    kind: 'process',
    pid,
    uid,
    ...(executable !== undefined && { executable }),
    ...(cgroup !== undefined && { cgroup }),
  };
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function addressesOf(
  { context, lookUp }: ExplainSources,
  host: string,
): Promise<{ addresses: readonly Address[]; note?: string }> {
  const literal = parseAddress(host);
  if (literal !== undefined) return { addresses: [literal] };
  const name = host.toLowerCase().replace(/\.$/, '');
  const state = context.facts.names.get(name);
  const kept =
    'the daemon learns them from the answers that programs get, looks them up itself as well, and keeps each for at least 5 minutes';
  if (state?.known === true && state.addresses.length > 0) {
    return { addresses: state.addresses.map(({ address }) => address), note: `${name}: as known; ${kept}` };
  }
  const answer = await lookUp(name);
  switch (answer.kind) {
    case 'addresses': {
      const used = state === undefined ? 'no rule uses this name, only its addresses count' : kept;
      return { addresses: answer.addresses.map(({ address }) => address), note: `${name}: resolved just now; ${used}` };
    }
    case 'none':
      return { addresses: [], note: `${name}: there is no such name` };
    case 'failed':
      return { addresses: [], note: `${name}: cannot be resolved (${answer.because})` };
  }
}

function flowTo(address: Address, { protocol, port }: ExplainQuery): Flow {
  const { family } = address;
  const loopback = isLoopbackAddress(address);
  const head = { source: { family, value: loopback ? address.value : 0n }, destination: address, loopback };
  if (protocol === 'icmp') {
    const type = family === 4 ? ECHO_REQUEST : ECHO_REQUEST_V6;
    return { ...head, protocol: family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, icmp: { type, code: 0 } };
  }
  return {
    ...head,
    protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    ...(port !== undefined && { destinationPort: port }),
  };
}

function destinationText({ host, port, protocol }: ExplainQuery): string {
  const name = parseAddress(host)?.family === 6 && port !== undefined ? `[${host}]` : host;
  return `${name}${port === undefined ? '' : `:${port}`}/${protocol}`;
}

/** The kernel's maps, by the `match` entry that they lead to. */
const MAP_OF: Readonly<Record<AppMatch['match']['kind'], string>> = {
  script: 'program',
  exec: 'program',
  package: 'program',
  children: 'program',
  cgroup: 'cgroup',
  unit: 'cgroup',
  container: 'cgroup',
  flatpak: 'cgroup',
  snap: 'cgroup',
  desktop: 'cgroup',
  user: 'user',
  group: 'group',
};

/** Follows what `compileIdentity` makes of the same input. */
function kernelPath({ context, host }: ExplainSources, subject: Subject): string {
  const { index, policySet, facts } = context;
  const owner = subject.kind === 'owner' && subject.owner.kind === 'process' ? subject.owner : undefined;
  const found = owner && matchApp(index, owner, facts);
  const match = subject.kind === 'app' ? subject.policy.match[0] : found?.match;
  const told = howTold({ policySet, index, facts, host, parts: new Map(), appIds: new Map() });
  const map = match === undefined ? 'default' : `${MAP_OF[match.kind]} map`;
  switch (told) {
    case 'directly':
      return `decided in the kernel (${map})`;
    case 'by program':
      return match === undefined
        ? 'decided in the kernel (default); the first time that a program is seen, its first packet goes to the daemon'
        : `decided in the kernel (${map})`;
    case 'asked':
      return 'first packet goes to the daemon, because sockets are not marked here and policies name what the ruleset cannot see; the kernel remembers the answer';
  }
}
