/** A person's question, with everything it needs of the machine looked up: the same for the daemon and for the command line. */
import { openProc, type Proc } from '../kernel/proc.ts';
import { type Address, isLoopbackAddress, parseAddress, unmapAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Host } from '../plan/host.ts';
import type { DecideContext } from '../policy/decide.ts';
import {
  type ExplainQuery,
  type ExplainWho,
  type Explanation,
  explain,
  type InboundQuestion,
  type OutboundQuestion,
  type Subject,
} from '../policy/explain.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { didYouMean } from '../policy/suggestion.ts';
import { isUserModeNetwork } from '../policy/user-mode-networks.ts';
import { inboundPath, outboundPath } from './kernel-path.ts';
import { lastGoodAmong } from './last-good-among.ts';
import type { LookUp } from './name-lookup.ts';
import { servedNamespaces } from './served-namespaces.ts';
import { startedOwner } from './started-owner.ts';

/** The question is about something that is not there. */
export class UnknownSubject extends Error {
  override readonly name = 'UnknownSubject';
}

export interface ExplainSources {
  readonly context: DecideContext;
  readonly host: Host;
  readonly lookUp: LookUp;
  readonly proc?: Proc;
  /** Files whose last good version is in force. */
  readonly lastGood?: readonly string[];
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
  const explanation =
    'from' in query ? explainInbound(sources, subject, query) : await explainOutbound(sources, subject, query);
  return { ...explanation, ...lastGoodAmong(filesIn(explanation), sources.lastGood ?? []) };
}

const filesIn = ({ layers, flows }: Explanation): readonly (string | undefined)[] => [
  ...layers.map(({ file }) => file),
  ...flows.flatMap(({ file, rules, accept = [] }) => [file, ...[...rules, ...accept].map((rule) => rule.file)]),
];

function explainInbound(sources: ExplainSources, subject: Subject, question: InboundQuestion): Explanation {
  const flow = flowFrom(question);
  const { from, fromPort, port, protocol } = question;
  return explain(sources.context, {
    subject,
    source: fromPort === undefined ? from : endpointText(from, fromPort),
    destination: `port ${port}/${protocol}`,
    flows: [flow],
    path: inboundPath(sources, subject, flow.loopback),
  });
}

async function explainOutbound(
  sources: ExplainSources,
  subject: Subject,
  query: OutboundQuestion,
): Promise<Explanation> {
  const { addresses, note } = await addressesOf(sources, query.host);
  return explain(sources.context, {
    subject,
    destination: destinationText(query),
    ...(note !== undefined && { nameNote: note }),
    flows: addresses.slice(0, MAX_EXPLAINED_ADDRESSES).map((address) => flowTo(address, query)),
    path: outboundPath(sources, subject),
  });
}

/** Throws UnknownSubject. */
export function subjectOf(
  { context, proc = openProc() }: Pick<ExplainSources, 'context' | 'proc'>,
  { app, exe, pid, kernel }: ExplainWho,
): Subject {
  if (app !== undefined) {
    const { apps } = context.policySet;
    const policy = apps.find((candidate) => candidate.app === app);
    if (policy === undefined) {
      const names = apps.map((candidate) => candidate.app);
      const hint =
        didYouMean(app, names) ??
        'pointsman status lists all that there are; of a program: pointsman explain PROGRAM HOST:PORT';
      throw new UnknownSubject(`no policy file is about ${JSON.stringify(app)}; ${hint}`);
    }
    return { kind: 'app', policy };
  }
  if (exe !== undefined) {
    const { called, ...program } = startedOwner(exe, context.index);
    return { kind: 'owner', owner: { kind: 'process', pid: NO_PID, uid: NO_UID, ...program }, called };
  }
  if (kernel !== undefined)
    return { kind: 'owner', owner: { kind: 'kernel', sender: kernel }, called: `the kernel (${kernel})` };
  if (pid === undefined) throw new UnknownSubject('nobody is asked about');
  const owner = processOwner(proc, pid);
  if (owner === undefined) throw new UnknownSubject(`there is no process ${pid}`);
  const executable = owner.executable === undefined ? '' : ` (${owner.executable})`;
  return { kind: 'owner', owner, called: `process ${pid}${executable}${servedText(proc, owner)}` };
}

function servedText(proc: Proc, { pid, executable }: ProcessOwner): string {
  if (executable === undefined || !isUserModeNetwork(executable)) return '';
  const served = servedNamespaces(proc, pid).map(({ inode, processes, more }) => {
    const inside = processes.map((one) => `${one}${nameOf(proc.executable(one))}`);
    const others = more > 0 ? [`${more} more`] : [];
    return `network namespace ${inode} (${inside.length === 0 ? 'empty' : `process ${[...inside, ...others].join(', ')}`})`;
  });
  return served.length === 0 ? '' : `, which serves ${served.join(' and ')}`;
}

const nameOf = (executable: string | undefined): string => (executable === undefined ? '' : ` ${executable}`);

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

async function addressesOf(
  { context, lookUp }: ExplainSources,
  host: string,
): Promise<{ addresses: readonly Address[]; note?: string }> {
  const written = parseAddress(host);
  const literal = written && unmapAddress(written);
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

function flowTo(address: Address, { protocol, port, device }: OutboundQuestion): Flow {
  const { family } = address;
  const loopback = isLoopbackAddress(address);
  const head = {
    source: { family, value: loopback ? address.value : 0n },
    destination: address,
    loopback,
    ...(device !== undefined && { chosenDevice: device }),
  };
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

/** Throws UnknownSubject. */
function flowFrom({ from, fromPort, port, protocol }: InboundQuestion): Flow {
  const source = parseAddress(from);
  if (source === undefined) throw new UnknownSubject(`${JSON.stringify(from)} is not an address`);
  const { family } = source;
  const loopback = isLoopbackAddress(source);
  return {
    protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    source,
    destination: { family, value: loopback ? source.value : 0n },
    ...(fromPort !== undefined && { sourcePort: fromPort }),
    destinationPort: port,
    loopback,
    inbound: true,
  };
}

function destinationText({ host, port, protocol, device }: OutboundQuestion): string {
  const by = device === undefined ? '' : ` by device ${device}`;
  return `${port === undefined ? host : endpointText(host, port)}/${protocol}${by}`;
}

const endpointText = (host: string, port: number): string =>
  parseAddress(host)?.family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
