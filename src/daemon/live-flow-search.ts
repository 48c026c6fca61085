/** The live flows that somebody means: connections that have been decided, and open sockets. Pure. */
import type { Address } from '../net/address.ts';
import { type Flow, flowKey } from '../net/flow.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { flowOfEntry } from './live-flows.ts';
import { isListening, type OpenSocket } from './open-sockets.ts';

/**
 * At least one of `entry` and `socket` is there. `flow` is as this host sees it: `inbound` where the socket is the receiver's,
 * which for a connection within this host is another flow than the sender's.
 */
export interface LiveFlow {
  readonly flow: Flow;
  /** Neither end is this host's. */
  readonly isForwarded?: true;
  readonly entry?: ConntrackEntry;
  readonly socket?: OpenSocket;
}

interface Ends {
  readonly entry: ConntrackEntry;
  readonly flow: Flow;
}

export interface LiveFlowsSeen {
  readonly entries: readonly ConntrackEntry[];
  readonly sockets: readonly OpenSocket[];
  /** Whether an address is this host's. */
  readonly isOwn: (address: Address) => boolean;
}

/** Decided connections first, each with its socket where that is connected; then sockets of which no connection is known. */
export function liveFlows({ entries, sockets, isOwn }: LiveFlowsSeen, isMeant: (flow: Flow) => boolean): LiveFlow[] {
  const ends = new Map<string, Ends>();
  for (const entry of entries) {
    const [out, inward] = [flowOfEntry(entry), receivedFlow(entry)];
    ends.set(keyOf(out), { entry, flow: out });
    // From the receiver's end.
    ends.set(keyOf(reversed(inward)), { entry, flow: inward });
  }
  const connected: LiveFlow[] = [];
  const single: LiveFlow[] = [];
  const withSocket = new Set<ConntrackEntry>();
  for (const socket of sockets) {
    const found = ends.get(keyOf(socket.flow));
    if (found !== undefined) {
      withSocket.add(found.entry);
      if (isMeant(flowOfEntry(found.entry)) || isMeant(found.flow)) connected.push({ ...found, socket });
    } else if (isMeant(socket.flow)) single.push(ofSocket(socket));
  }
  const others = entries
    .filter((entry) => !withSocket.has(entry))
    .filter((entry) => isMeant(flowOfEntry(entry)) || isMeant(receivedFlow(entry)))
    .map((entry): LiveFlow => ({ ...asHostSees(entry, isOwn), entry }));
  const senders = new Set(others.map(({ flow }) => localPortOf(flow)));
  // A socket without a peer, whose connections are there already.
  const rest = single.filter(
    ({ flow, socket }) => isWaiting(socket) || !flow.inbound || !senders.has(localPortOf(flow)),
  );
  return [...opensFirst(connected), ...others, ...opensFirst(rest)];
}

/** Whoever opened a connection before whoever accepted it, and connections before whoever waits for some. */
function opensFirst(flows: readonly LiveFlow[]): readonly LiveFlow[] {
  return flows.toSorted((a, b) => Number(a.flow.inbound === true) - Number(b.flow.inbound === true));
}

function asHostSees(entry: ConntrackEntry, isOwn: LiveFlowsSeen['isOwn']): Pick<LiveFlow, 'flow' | 'isForwarded'> {
  const [out, inward] = [flowOfEntry(entry), receivedFlow(entry)];
  if (isOwn(out.source)) return { flow: out };
  return isOwn(inward.destination) ? { flow: inward } : { flow: out, isForwarded: true };
}

const isWaiting = (socket: OpenSocket | undefined): boolean => socket !== undefined && isListening(socket);

const localPortOf = ({ protocol, sourcePort, destinationPort, inbound }: Flow): string =>
  `${protocol} ${(inbound ? destinationPort : sourcePort) ?? ''}`;

/** Whoever waits for others, or sends to anybody, has no peer. */
function ofSocket(socket: OpenSocket): LiveFlow {
  const { flow } = socket;
  if (flow.destinationPort !== undefined || flow.destination.value !== 0n) return { flow, socket };
  const anyPort = flow.sourcePort === undefined ? {} : { sourcePort: 0 };
  return { flow: { ...reversed(flow), ...anyPort, inbound: true }, socket };
}

/** As the receiver has it, after addresses were translated. */
function receivedFlow({ reply }: ConntrackEntry): Flow {
  return { ...reversed({ ...reply, loopback: false }), inbound: true };
}

function reversed({ source, sourcePort, destination, destinationPort, inbound: _, ...rest }: Flow): Flow {
  return {
    ...rest,
    source: destination,
    destination: source,
    ...(destinationPort !== undefined && { sourcePort: destinationPort }),
    ...(sourcePort !== undefined && { destinationPort: sourcePort }),
  };
}

/** Both ends, from one of them. */
function keyOf({ protocol, source, sourcePort, destination, destinationPort, icmp }: Flow): string {
  const ends = {
    protocol,
    source,
    destination,
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
    ...(icmp !== undefined && { icmp }),
  };
  return flowKey({ ...ends, loopback: false });
}
