/** Whether the way that a packet really takes is the one that `decide` says: the model's machine on one side, the policy on the other. */

import { dnsRoute } from '../../src/daemon/dns-ways.ts';
import { type Address, equalAddress, formatAddress, isLoopbackAddress, prefixContains } from '../../src/net/address.ts';
import { type Flow, formatFlow } from '../../src/net/flow.ts';
import { IPPROTO_UDP } from '../../src/net/protocol.ts';
import { compile } from '../../src/plan/compile.ts';
import type { Host } from '../../src/plan/host.ts';
import { lookUpRoute } from '../../src/plan/machine/look-up-route.ts';
import { type Machine, withPlan } from '../../src/plan/machine/machine.ts';
import { type PacketWay, type Relay, type Sent, socketMark, wayOfPacket } from '../../src/plan/machine/packet-way.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { MARK_UPLINK, MARK_UPLINK_SHIFT, PROGRAM_NONE_FIRST, TABLE } from '../../src/plan/reserved.ts';
import { type DecideContext, decide } from '../../src/policy/decide.ts';
import type { Decision, Way } from '../../src/policy/decision.ts';
import { DNS_PORT } from '../../src/policy/dns-query.ts';
import type { PolicySet } from '../../src/policy/effective-policy.ts';
import { type Facts, heldAddresses, type UplinkState } from '../../src/policy/facts.ts';
import { groupPrefixes } from '../../src/policy/groups.ts';
import type { ProcessOwner } from '../../src/policy/identity.ts';
import { indexApps } from '../../src/policy/match-app.ts';
import { localCarriers } from '../../src/policy/protecting-uplinks.ts';
import {
  connectedDevice,
  LAN,
  machineOf,
  noDefaultOf,
  onLinkOf,
  rulesFromOf,
  type Setting,
  uplinkStatesOf,
  WIFI,
} from './generated-machine.ts';
import { APP, APP_UID, EXECUTABLE, type Packet, RESOLVERS } from './generated-policy.ts';

const NOW_MS = 1_800_000_000_000;
const NUMBER = 5;
const NONE = PROGRAM_NONE_FIRST + 3;
export const APP_IDS: ReadonlyMap<string, number> = new Map([[APP, 1]]);

export interface World {
  readonly setting: Setting;
  readonly policySet: PolicySet;
  readonly facts: Facts;
  readonly plan: Plan;
  readonly isMarked: boolean;
  /** Without us, and with the plan in force. */
  readonly before: Machine;
  readonly machine: Machine;
  readonly context: DecideContext;
}

const NOTHING: Plan = {
  nft: { table: TABLE, sets: new Map(), maps: new Map(), chains: new Map() },
  rules: [],
  routes: [],
  socketWays: new Map(),
};

export function worldOf(setting: Setting, policySet: PolicySet, isMarked: boolean): World {
  const facts: Facts = {
    uplinks: uplinkStatesOf(setting),
    onLink: onLinkOf(setting),
    resolvers: RESOLVERS,
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  const rulesFrom = rulesFromOf(setting);
  const noDefault = noDefaultOf(setting);
  const host: Host = {
    cgroups: [],
    // Nothing is asked about here, and some kernels have no other queue.
    queue: 'xtables',
    ...(isMarked && { programs: { numbers: new Map([[`exec:${EXECUTABLE}`, NUMBER]]), none: NONE } }),
    ...(rulesFrom !== undefined && { rulesFrom }),
    ...(noDefault.length > 0 && { noDefault }),
  };
  const { plan } = compile({ policySet, facts, host, appIds: APP_IDS, nowMs: NOW_MS });
  const before = machineOf(setting);
  const context: DecideContext = {
    policySet,
    index: indexApps(policySet),
    facts,
    nowMs: NOW_MS,
    unknownNames: 'queue',
    missingUplink: 'queue',
  };
  return { setting, policySet, facts, plan, isMarked, before, machine: withPlan(before, plan), context };
}

/** With another plan in force: a seeded fault. */
export const withFault = (world: World, plan: Plan): World => ({
  ...world,
  plan,
  machine: withPlan(world.before, plan),
});

/** The mark that its socket is made with. */
export function markOf({ plan, isMarked }: World, { isApps, socketFamily, markedFor }: Packet): number {
  if (!isMarked) return 0;
  const mark = socketMark(isApps ? NUMBER : NONE, plan.socketWays, socketFamily);
  return markedFor === undefined ? mark : ((mark & ~0x7f000000) | (markedFor << MARK_UPLINK_SHIFT)) >>> 0;
}

/** bind(2) to an address that the machine does not have fails; by a device without one, nobody has a source that gets answers. */
export const canBind = ({ before }: World, { bound, device, destination }: Packet): boolean =>
  (bound === undefined || before.devices.some(({ addresses }) => among(addresses, bound))) &&
  (device === undefined || addressesOf(before, device).some(({ family }) => family === destination.family));

const sentBy = (
  { sending, destination, destinationPort, bound, device, isApps, translatedTo }: Packet,
  mark: number,
): Sent => ({
  socket: {
    ...{ sending, mark, uid: isApps ? APP_UID : APP_UID + 1 },
    ...(bound !== undefined && { bound }),
    ...(device !== undefined && { device }),
  },
  destination,
  destinationPort,
  ...(translatedTo !== undefined && { translatedTo }),
});

const relayIn =
  ({ facts, policySet: { uplinks } }: World): Relay =>
  (mark, asked) => {
    const ends = { protocol: IPPROTO_UDP, source: asked, sourcePort: 1, destination: asked, destinationPort: DNS_PORT };
    const route = dnsRoute({ mark, original: ends }, { facts, uplinks, resolvers: facts.resolvers });
    const [resolver] = route?.kind === 'ask' ? route.way.resolvers : [];
    return route?.kind === 'ask' && resolver !== undefined ? { mark: route.way.mark, resolver } : undefined;
  };

export const wayIn = (world: World, packet: Packet): PacketWay =>
  wayOfPacket(world.machine, world.plan, sentBy(packet, markOf(world, packet)), relayIn(world));

const ownerOf = ({ isApps }: Packet): ProcessOwner => ({
  kind: 'process',
  pid: 4711,
  uid: isApps ? APP_UID : APP_UID + 1,
  gid: 7,
  cgroup: '/',
  executable: isApps ? EXECUTABLE : '/usr/bin/other',
});

const among = (addresses: readonly Address[], address: Address): boolean =>
  addresses.some((own) => equalAddress(own, address));
const addressesOf = ({ devices }: Machine, device: string): readonly Address[] =>
  devices.find(({ name }) => name === device)?.addresses ?? [];
const shown = (address: Address | undefined): string => (address === undefined ? 'none' : formatAddress(address));

type Left = Extract<PacketWay, { readonly kind: 'left' }>;

/** By its device and its router, with an address of its own, so that answers find back. */
function judgeUplink(way: Left, { device, v4, v6, onLink, gateways, ...state }: UplinkState) {
  if (way.device !== device) return `it left by ${way.device}, not by ${device}`;
  if (!among(heldAddresses({ device, v4, v6, onLink, gateways, ...state }), way.seen))
    return `${device} sends with ${shown(way.seen)}`;
  const gateway = way.destination.family === 4 ? gateways.v4 : gateways.v6;
  return way.gateway !== undefined && shown(way.gateway) !== shown(gateway)
    ? `it went to the router ${shown(way.gateway)}`
    : undefined;
}

/** As if we were not there; a source that was chosen for another way is translated. */
function judgeSystem(world: World, packet: Packet, way: PacketWay): string | undefined {
  const asIs = judgeAgainst(world, packet, way, packet.bound);
  if (asIs === undefined || !('flow' in way) || (world.isMarked && !isGuess(world, packet))) return asIs;
  // Routed again, it has the source that it had by then, as if the program had chosen that.
  return judgeAgainst(world, packet, way, way.flow.source);
}

function judgeAgainst(world: World, packet: Packet, way: PacketWay, source: Address | undefined): string | undefined {
  const sent = source === undefined ? packet : { ...packet, bound: source };
  const reference = wayOfPacket(world.before, NOTHING, sentBy(sent, 0));
  if (reference.kind !== 'left')
    return way.kind === 'unreachable' ? undefined : `the system has no such route, and it was ${way.kind}`;
  if (way.kind !== 'left') return `the system sends it by ${reference.device}, and it was ${way.kind}`;
  if (way.device !== reference.device) return `it left by ${way.device}, the system sends it by ${reference.device}`;
  if (shown(way.gateway) !== shown(reference.gateway)) return `it went to the router ${shown(way.gateway)}`;
  if (source === undefined)
    return equalAddress(way.seen, reference.seen)
      ? undefined
      : `it is seen as ${shown(way.seen)}, without us as ${shown(reference.seen)}`;
  const ofDevice = addressesOf(world.before, way.device);
  const isOfUplink = world.facts.uplinks.some((uplink) => among(heldAddresses(uplink), way.own));
  const mustChange = isOfUplink && !among(ofDevice, way.own);
  if (!mustChange) return equalAddress(way.seen, way.own) ? undefined : `it is seen as ${shown(way.seen)}`;
  return among(ofDevice, way.seen) ? undefined : `${way.device} sends with ${shown(way.seen)}`;
}

/** Its mark was right for something else: another policy, or another family. Where no route was there, a way may be marked. */
const isGuess = ({ setting, isMarked }: World, { markedFor, socketFamily, destination, isApps }: Packet): boolean =>
  markedFor !== undefined ||
  socketFamily !== destination.family ||
  (isMarked && isApps && noDefaultOf(setting).includes(destination.family));

/** By the device that is connected to it, with the source that it would have without us; where that has gone, not at all. */
function judgeLocal(world: World, packet: Packet, way: PacketWay): string | undefined {
  const { setting, before } = world;
  const device = connectedDevice(setting, packet.destination);
  // What leaves by no uplink is left alone, wherever that leads.
  if (packet.device === LAN.device && way.kind === 'left' && way.device === LAN.device) return undefined;
  if (device === LAN.device && setting.isLanGone)
    return way.kind === 'unreachable' ? undefined : `its network has gone, and it was ${way.kind}`;
  if (way.kind !== 'left') return `it was ${way.kind}, and ${device} is connected to it`;
  if (way.device !== device) return `it left by ${way.device}, and ${device} is connected to it`;
  const reference = wayOfPacket(before, NOTHING, sentBy(packet, 0));
  if (isCarried(world, way.own) && among(addressesOf(before, way.device), way.seen)) return undefined;
  return reference.kind === 'left' && !equalAddress(reference.seen, way.seen)
    ? `it is seen as ${shown(way.seen)}, without us as ${shown(reference.seen)}`
    : undefined;
}

/** Of an uplink that carries what is local elsewhere, so that sockets which are marked for it have this address before they are decided. */
function isCarried({ facts, policySet, isMarked }: World, own: Address): boolean {
  const carriers = localCarriers(policySet);
  return isMarked && facts.uplinks.some((uplink) => carriers.has(uplink.name) && among(heldAddresses(uplink), own));
}

/** What `decide` says a packet may do where nobody found a route for it before any hook was asked. */
function judgeUnsent(world: World, packet: Packet): string | undefined {
  const reference = wayOfPacket(world.before, NOTHING, sentBy(packet, 0));
  if (reference.kind === 'left') return `it is unreachable, the system sends it by ${reference.device}`;
  // To a network that was local the tables lead nowhere else.
  if (world.setting.isLanGone && connectedDevice(world.setting, packet.destination) === LAN.device) return undefined;
  // By the device that it chose there is none, with us as without.
  if (packet.device !== undefined) return undefined;
  // Of a socket with the wrong mark, or with none, nobody knows in time that it has a way.
  if (!world.isMarked || packet.markedFor !== undefined || packet.socketFamily !== packet.destination.family)
    return undefined;
  const { destination, destinationPort, sending, bound } = packet;
  const source = bound ?? destination;
  const protocol = sending === 'tcp' ? 6 : sending === 'icmp' ? (destination.family === 4 ? 1 : 58) : 17;
  const ports = sending === 'icmp' ? {} : { sourcePort: 50_000, destinationPort };
  const decision = decide(world.context, ownerOf(packet), { protocol, source, destination, ...ports, loopback: false });
  return decision.verdict === 'accept' && decision.way.kind === 'uplink'
    ? `it is unreachable, and ${decision.way.name} leads there`
    : undefined;
}

type TranslatedPacket = Packet & { readonly translatedTo: Address };
/** Queries that we redirect are translated already. */
const isTranslated = (packet: Packet, way: PacketWay): packet is TranslatedPacket =>
  packet.translatedTo !== undefined &&
  way.kind !== 'unanswered' &&
  !(way.kind === 'left' && way.relayedBy !== undefined);

/** Where the new destination leads: directly, or by the way that was decided. */
function judgeTranslated(world: World, packet: TranslatedPacket, way: PacketWay, decided: Way): string | undefined {
  const { before, facts } = world;
  const { translatedTo: to } = packet;
  if (!('flow' in way)) return 'it was not sent';
  const isDroppedOrTaken = way.kind === 'dropped' || (way.kind === 'left' && way.device === WIFI.device);
  if (isDroppedOrTaken && isTakenBefore(world, way.flow)) return undefined;
  const isDirect =
    isLoopbackAddress(to) || [...groupPrefixes('lan'), ...facts.onLink].some((one) => prefixContains(one, to));
  if (decided.kind === 'uplink' && !isDirect) {
    const state = facts.uplinks.find(({ id }) => id === decided.id);
    return way.kind === 'left' && state !== undefined ? judgeUplink(way, state) : `it was ${way.kind}`;
  }
  const rules =
    decided.kind === 'system' ? before.rules : before.rules.map((rule) => ({ ...rule, suppressPrefixLength: 1 }));
  const routeTo = (destination: Address) =>
    lookUpRoute({ ...before, rules }, { destination, source: way.flow.source, mark: 0 });
  // Nothing gets as far as to be translated that has no route to where it is sent.
  if (decided.kind !== 'uplink' && routeTo(packet.destination) === undefined)
    return way.kind === 'unreachable' ? undefined : `there is no such route, and it was ${way.kind}`;
  const route = routeTo(to);
  if (route === undefined)
    return way.kind === 'unreachable' ? undefined : `there is no such route, and it was ${way.kind}`;
  if (way.kind !== 'left') return `it was ${way.kind}, and it leads to ${route.device}`;
  if (way.device !== route.device) return `it left by ${way.device}, and it leads to ${route.device}`;
  if (way.device === 'lo') return (way.trace.metaMark & MARK_UPLINK) === 0 ? undefined : 'a way is left on loopback';
  const ofDevice = addressesOf(before, way.device);
  const isOfUplink = facts.uplinks.some((uplink) => among(heldAddresses(uplink), way.own));
  return isOfUplink && !among(ofDevice, way.own) && !among(ofDevice, way.seen)
    ? `${way.device} sends with ${shown(way.seen)}`
    : undefined;
}

/** A narrower rule of the administrator's stands before ours (docs/decisions/0016): the guard lets nothing of it leave. */
const isTakenBefore = ({ setting, before }: World, { source }: Flow): boolean =>
  setting.hasFromRule && among(addressesOf(before, WIFI.device), source);

const OUTCOME: Record<Exclude<Decision['verdict'], 'accept'>, PacketWay['kind']> = {
  reject: 'refused',
  drop: 'dropped',
  queue: 'queued',
};

export interface Judgement {
  readonly way: PacketWay;
  readonly decision?: Decision;
  /** What is wrong; `undefined`: it is as it was decided. */
  readonly fault: string | undefined;
}

export function judge(world: World, packet: Packet): Judgement {
  const way = wayIn(world, packet);
  if (way.kind === 'unreachable' && !way.again) return { way, fault: judgeUnsent(world, packet) };
  const decision = decide(world.context, ownerOf(packet), way.flow);
  return { way, decision, fault: judgeDecided(world, packet, way, decision) };
}

/** Where it is certain by which device it leaves nobody can be refused any more: the guard drops it, and the daemon ends a connection. */
function judgeOtherDevice(way: PacketWay): string | undefined {
  const isGuarded = way.kind === 'dropped' && way.trace.chains.includes('guard');
  return isGuarded || way.kind === 'unreachable' ? undefined : `its device is not its way, and it was ${way.kind}`;
}

function judgeDecided(world: World, packet: Packet, way: PacketWay, decision: Decision): string | undefined {
  if (decision.verdict === 'reject' && decision.cause === 'other-device') return judgeOtherDevice(way);
  if (decision.verdict !== 'accept')
    return way.kind === OUTCOME[decision.verdict] ? undefined : `it was ${way.kind}, and decided: ${decision.verdict}`;
  if (isTranslated(packet, way)) return judgeTranslated(world, packet, way, decision.way);
  if (decision.way.kind === 'system') return judgeSystem(world, packet, way);
  if (way.kind === 'unanswered') return decision.way.kind === 'uplink' ? undefined : 'nobody is asked';
  if (way.kind === 'dropped' && isTakenBefore(world, way.flow)) return undefined;
  if (decision.way.kind === 'local') return judgeLocal(world, packet, way);
  if (way.kind !== 'left') return `it was ${way.kind}, and decided: by ${decision.way.kind}`;
  const { way: decided } = decision;
  const state = decided.kind === 'uplink' ? world.facts.uplinks.find(({ id }) => id === decided.id) : undefined;
  return state === undefined ? `a way nobody knows: ${decided.kind}` : judgeUplink(way, state);
}

/** What a failure needs to be understood. */
export function explainCase(
  { setting, policySet, isMarked }: World,
  packet: Packet,
  { way, decision, fault }: Judgement,
): string {
  const text = (value: unknown): string =>
    JSON.stringify(value, (key, one) =>
      key === 'at' || key === 'text' || key === 'trace'
        ? undefined
        : typeof one === 'bigint'
          ? `0x${one.toString(16)}`
          : one instanceof Map
            ? [...one]
            : one,
    );
  const [policy] = policySet.apps;
  return [
    `${fault}`,
    `packet ${packet.protocol} (${packet.sending}) to ${formatAddress(packet.destination)}, socket of IPv${packet.socketFamily}`,
    `  bound ${shown(packet.bound)}, device ${packet.device ?? 'any'}, translated to ${shown(packet.translatedTo)}, marked for ${packet.markedFor ?? 'nobody'}, ${packet.isApps ? "the application's" : "nobody's"}, ${isMarked ? 'marked' : 'not marked'}`,
    `decision ${text({ verdict: decision?.verdict, way: decision?.verdict === 'accept' ? decision.way : '', reason: decision?.reason })}`,
    `way ${text({ ...way, flow: undefined })} ${'flow' in way ? formatFlow(way.flow) : ''}`,
    `chains ${'trace' in way ? way.trace.chains.join(' > ') : ''}`,
    `setting ${text(setting)}`,
    `policy ${text({ ...policy, match: undefined, files: undefined })}`,
    `default ${text(policySet.systemDefault)}`,
  ].join('\n');
}
