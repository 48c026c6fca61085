/**
 * What becomes of a packet on a machine where a plan is in force: which device it leaves by, with which source address, or why it
 * does not leave. It is as wide as the machine: the mark that the socket was made with, the choice of the source, routing rules and
 * tables, the hooks with a second look at the routes, translation, the guard. The text of `decide` is nowhere in it.
 */
import type { Address, Family } from '../../net/address.ts';
import type { Flow } from '../../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../net/protocol.ts';
import { type Reroute, type TracePacket, type TraceResult, trace } from '../nft/trace.ts';
import type { Plan } from '../plan.ts';
import { MARK_UPLINK, programMark } from '../reserved.ts';
import { addressFor, chooseSource } from './choose-source.ts';
import { type FoundRoute, lookUpRoute } from './look-up-route.ts';
import { LOOPBACK_DEVICE, type Machine } from './machine.ts';

/** How it is sent decides how often the route is looked up. */
export type Sending = 'tcp' | 'udp connected' | 'udp unconnected' | 'icmp';

export interface SendingSocket {
  readonly sending: Sending;
  readonly mark: number;
  /** bind(2): the source that it has whatever the route is. */
  readonly bound?: Address;
  /** SO_BINDTODEVICE. */
  readonly device?: string;
  readonly uid?: number;
}

export interface Sent {
  readonly socket: SendingSocket;
  readonly destination: Address;
  readonly destinationPort: number;
  /** Somebody's rule at dstnat gives it another one. */
  readonly translatedTo?: Address;
}

/** A packet that answers what came in. */
export interface Answer {
  readonly protocol: 'tcp' | 'udp';
  readonly mark: number;
  /** The address that was asked. */
  readonly own: Address;
  readonly peer: Address;
  /** Of the connection. */
  readonly ctMark: number;
}

/** `flow`: as the hooks saw it; of a query that the daemon relays, the asker's. */
export type PacketWay =
  | {
      readonly kind: 'left';
      readonly flow: Flow;
      readonly destination: Address;
      readonly device: string;
      readonly gateway?: Address;
      /** What getsockname(2) says, and what the other end sees. */
      readonly own: Address;
      readonly seen: Address;
      /** The daemon sends it, from a socket with this mark, for whoever asked. */
      readonly relayedBy?: number;
      readonly trace: TraceResult;
    }
  /** `again`: it was routed by our hook, and there is no such route. */
  | { readonly kind: 'unreachable'; readonly again: false }
  | { readonly kind: 'unreachable'; readonly again: true; readonly flow: Flow; readonly trace: TraceResult }
  /** A query that the relay has nobody to ask for, by the way that it was given. */
  | { readonly kind: 'unanswered'; readonly flow: Flow; readonly trace: TraceResult }
  | { readonly kind: 'refused' | 'dropped' | 'queued'; readonly flow: Flow; readonly trace: TraceResult };

/** The mark that a socket is made with. `family`: of the socket; one of IPv6 may send by IPv4. */
export function socketMark(program: number | undefined, ways: Plan['socketWays'], family: Family): number {
  if (program === undefined) return 0;
  const way = ways.get(program);
  const bits = family === 4 ? way?.v4 : way?.v6;
  return (programMark(program) | ((bits ?? 0) & MARK_UPLINK)) >>> 0;
}

const chosenBy = ({ device }: SendingSocket): { readonly device?: string } => (device === undefined ? {} : { device });

interface Routed {
  readonly route: FoundRoute;
  readonly source: Address;
}

/** connect(2) and sendto(2): ip_route_connect() and ip_route_output_flow(), ip6_dst_lookup_flow(). */
function firstRoute(machine: Machine, { socket, destination }: Sent): Routed | undefined {
  const { mark, bound, sending } = socket;
  const chosen = chosenBy(socket);
  const route = lookUpRoute(machine, { destination, mark, ...chosen, ...(bound !== undefined && { source: bound }) });
  if (bound !== undefined) return route && { route, source: bound };
  // IPv4 without a route is told so; IPv6 tries again with any address.
  if (route === undefined && destination.family === 4) return undefined;
  const source = chooseSource(machine, route, destination);
  if (source === undefined) return undefined;
  const looksAgain = destination.family === 6 ? route === undefined : sending === 'tcp' || sending === 'udp connected';
  if (!looksAgain) return route && { route, source };
  const again = lookUpRoute(machine, { destination, mark, source, ...chosen });
  return again && { route: again, source };
}

const SOURCE_PORT = 50_000;

function flowOf({ socket, destination, destinationPort }: Sent, source: Address, device: string): Flow {
  const { sending, device: chosenDevice } = socket;
  const chosen = chosenDevice === undefined ? {} : { chosenDevice };
  const head = { source, destination, loopback: device === LOOPBACK_DEVICE, ...chosen };
  if (sending === 'icmp') {
    const [protocol, type] = destination.family === 4 ? [IPPROTO_ICMP, 8] : [IPPROTO_ICMPV6, 128];
    return { ...head, protocol, icmp: { type, code: 0, identifier: 7 } };
  }
  const protocol = sending === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP;
  return { ...head, protocol, sourcePort: SOURCE_PORT, destinationPort };
}

const ENDED: Record<Exclude<TraceResult['verdict'], 'accept'>, 'refused' | 'dropped' | 'queued'> = {
  reject: 'refused',
  drop: 'dropped',
  queue: 'queued',
};

/** Through the hooks, with routes looked up again where they ask for it. */
function passHooks(machine: Machine, plan: Plan, packet: Omit<TracePacket, 'outDevice'>, first: FoundRoute): PacketWay {
  const { flow, translatedTo } = packet;
  const chosen = flow.chosenDevice === undefined ? {} : { device: flow.chosenDevice };
  const { source } = flow;
  const destination = translatedTo ?? flow.destination;
  let route = first;
  const reroute: Reroute = ({ mark, destination: to, redirected }) => {
    const again = redirected
      ? { device: LOOPBACK_DEVICE }
      : lookUpRoute(machine, { destination: to, source, mark, ...chosen });
    route = again ?? route;
    return again?.device;
  };
  const seenFirst: TracePacket = { ...packet, outDevice: first.device };
  const traced = trace(plan.nft, seenFirst, ['output', 'postrouting'], { reroute });
  if (traced.unroutable === true) return { kind: 'unreachable', again: true, flow, trace: traced };
  if (traced.verdict !== 'accept') return { kind: ENDED[traced.verdict], flow, trace: traced };
  const seen = traced.masqueraded ? masqueradeAddress(machine, route.device, destination) : source;
  if (seen === undefined) return { kind: 'dropped', flow, trace: traced };
  const { device, gateway } = route;
  return {
    kind: 'left',
    flow,
    destination,
    device,
    ...(gateway !== undefined && { gateway }),
    own: source,
    seen,
    trace: traced,
  };
}

/** Only the device's own will do. */
function masqueradeAddress(machine: Machine, device: string, destination: Address): Address | undefined {
  return addressFor(
    { ...machine, devices: machine.devices.filter(({ name }) => name === device) },
    device,
    destination,
  );
}

/** Whom the relay asks, from a socket with which mark (`daemon/dns-ways.ts`); `undefined`: nobody. */
export type Relay = (
  ctMark: number,
  asked: Address,
) => { readonly mark: number; readonly resolver: Address } | undefined;

/** `machine`: with the plan's rules and routes (`withPlan`). The first packet of a flow. */
export function wayOfPacket(machine: Machine, plan: Plan, sent: Sent, relay?: Relay): PacketWay {
  const first = firstRoute(machine, sent);
  if (first === undefined) return { kind: 'unreachable', again: false };
  const { mark, uid = 0 } = sent.socket;
  const flow = flowOf(sent, first.source, first.route.device);
  const way = passHooks(
    machine,
    plan,
    {
      flow,
      metaMark: mark,
      ctMark: 0,
      ...(sent.translatedTo !== undefined && { translatedTo: sent.translatedTo }),
      ctState: 'new',
      ctDirection: 'original',
      socket: { mark, uid, gid: uid, cgroups: new Map() },
    },
    first.route,
  );
  if (way.kind !== 'left' || way.trace.redirectedTo === undefined || relay === undefined) return way;
  const asks = relay(way.trace.ctMark ?? 0, sent.destination);
  if (asks === undefined) return { kind: 'unanswered', flow, trace: way.trace };
  const { sending } = sent.socket;
  const socket = { sending, mark: asks.mark, uid: 0 };
  const found = wayOfPacket(machine, plan, {
    socket,
    destination: asks.resolver,
    destinationPort: sent.destinationPort,
  });
  if (found.kind === 'left') return { ...found, flow, relayedBy: asks.mark };
  return found.kind === 'unreachable' && !found.again ? found : { ...found, flow };
}

/** A segment or datagram from the address that was asked. */
export function wayOfAnswer(machine: Machine, plan: Plan, { protocol, mark, own, peer, ctMark }: Answer): PacketWay {
  const route = lookUpRoute(machine, { destination: peer, source: own, mark });
  if (route === undefined) return { kind: 'unreachable', again: false };
  const flow: Flow = {
    source: own,
    destination: peer,
    protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    sourcePort: 80,
    destinationPort: SOURCE_PORT,
    loopback: false,
    ...(protocol === 'tcp' && { midstream: true as const }),
  };
  const socket = { mark, uid: 0, gid: 0, cgroups: new Map<number, bigint>() };
  const seen = { flow, metaMark: mark, ctMark, ctState: 'established', ctDirection: 'reply', socket } as const;
  return passHooks(machine, plan, seen, route);
}
