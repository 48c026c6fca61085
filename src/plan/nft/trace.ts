/**
 * Evaluates a ruleset for one packet, as the kernel would: what a chain's text means, next to what it looks like. Only the
 * hooks of family inet that this project uses, in priority order. Where a chain changes the route, the caller says where the
 * packet goes next (`machine/` has the routing of a whole machine); without one it keeps its device.
 */

import type { Address } from '../../net/address.ts';
import type { Flow } from '../../net/flow.ts';
import { jhashMod } from '../../net/jhash.ts';
import { IPPROTO_ICMPV6, IPPROTO_TCP, protocolHasPorts } from '../../net/protocol.ts';
import type { Chain, Expression, Field, Interval, NftSet, Ruleset, Verdict } from './ruleset.ts';

/** A packet with everything a rule can see of it, its socket and its conntrack entry. */
export interface TracePacket {
  readonly flow: Flow;
  readonly outDevice: string;
  /** Of a packet that comes in. */
  readonly inDevice?: string;
  readonly metaMark: number;
  /** `undefined` for untracked packets, which have no conntrack entry. */
  readonly ctMark?: number;
  readonly ctState: 'new' | 'established' | 'related' | 'invalid' | 'untracked';
  readonly ctDirection: 'original' | 'reply';
  /** Bits of the label that the connection has, with which it is confirmed; absent: nobody looks whether it is. */
  readonly ctLabels?: readonly number[];
  /** Somebody's rule at priority dstnat of `output` gives it this destination. */
  readonly translatedTo?: Address;
  /**
   * The one that sends the packet, or would receive it; absent where there is none. `cgroups[L]` is the id of the socket's
   * ancestor cgroup at level L. A packet that comes in has no uid and gid.
   */
  readonly socket?: {
    readonly uid?: number;
    readonly gid?: number;
    readonly mark?: number;
    readonly cgroups: ReadonlyMap<number, bigint>;
  };
}

/** Looks the route up again: the device, or `undefined` where there is none. `redirected`: to this machine itself. */
export type Reroute = (packet: {
  readonly mark: number;
  readonly destination: Address;
  readonly redirected: boolean;
}) => string | undefined;

export interface TraceResult {
  readonly verdict: 'accept' | 'drop' | 'queue' | 'reject';
  /** The device that it leaves by. */
  readonly outDevice: string;
  /** Dropped, because it was routed again and there was no route. */
  readonly unroutable?: true;
  /** With `reject`: what nft sends back. */
  readonly rejectWith?: 'tcp reset' | 'icmpx admin-prohibited' | 'icmpx no-route' | 'icmpx port-unreachable';
  readonly metaMark: number;
  readonly ctMark?: number;
  readonly ctLabels: readonly number[];
  readonly masqueraded: boolean;
  /** The port of this machine to which the connection goes instead. */
  readonly redirectedTo?: number;
  /** Chains in the order in which they were entered. */
  readonly chains: readonly string[];
}

interface State {
  readonly ruleset: Ruleset;
  readonly packet: TracePacket;
  metaMark: number;
  ctMark: number | undefined;
  ctLabels: readonly number[];
  outDevice: string;
  /** What a hook says of it: as it was when the packet came to that. */
  hookDevice: string;
  flow: Flow;
  masqueraded: boolean;
  redirectedTo?: number;
  rejectWith?: NonNullable<TraceResult['rejectWith']>;
  readonly chains: string[];
}

/** What a rule or chain came to; `undefined` is "go on". */
type Outcome = Verdict | { readonly kind: 'queue' } | { readonly kind: 'reject' } | undefined;

/** NF_IP_PRI_NAT_DST. */
const PRIORITY_DSTNAT = -100;

/** More jumps than any kernel allows (NFT_JUMP_STACK_SIZE is 16; goto does not count). */
const MAX_CHAINS = 64;

type FieldValue = bigint | string | undefined;

function transport(flow: Flow, which: 'source' | 'destination'): bigint | undefined {
  if (protocolHasPorts(flow.protocol)) {
    const port = which === 'source' ? flow.sourcePort : flow.destinationPort;
    return port === undefined ? undefined : BigInt(port);
  }
  // nft reads the same 16 bits of whatever header is there: in ICMP type and code, and the checksum.
  return which === 'source' && flow.icmp !== undefined ? BigInt(flow.icmp.type * 256 + flow.icmp.code) : 0n;
}

const masked = (mark: number | undefined, mask: number | undefined): bigint | undefined =>
  mark === undefined ? undefined : BigInt((mask === undefined ? mark : mark & mask) >>> 0);

/** `undefined`: the field does not exist for this packet, and the rule does not match. */
function read(state: State, field: Field): FieldValue {
  const { flow } = state;
  const { socket, ctState, ctDirection, inDevice } = state.packet;
  const { family } = flow.destination;
  switch (field.kind) {
    case 'meta mark':
      return masked(state.metaMark, field.mask);
    case 'ct mark':
      return masked(state.ctMark, field.mask);
    case 'ct state':
      return ctState;
    case 'ct status':
      if (state.redirectedTo !== undefined || flow !== state.packet.flow) return 'dnat';
      return state.packet.ctLabels === undefined ? 'none' : 'confirmed';
    case 'fib daddr type':
      return flow.inbound || flow.loopback ? 'local' : 'unicast';
    case 'ct label':
      throw new RangeError('a label is a bit among others: it is compared, and nothing else');
    case 'ct direction':
      return state.ctMark === undefined ? undefined : ctDirection;
    case 'meta oifname':
      return state.hookDevice;
    case 'meta nfproto':
      return `ipv${family}`;
    case 'meta l4proto':
      return BigInt(flow.protocol);
    case 'socket mark':
      return socket === undefined ? undefined : masked(socket.mark ?? 0, field.mask);
    case 'meta iif':
      // Of devices only the names are known here.
      return inDevice === undefined ? 0n : undefined;
    case 'meta oif':
    case 'meta oifkind':
      return undefined;
    case 'meta iifname':
      return inDevice;
    case 'meta skuid':
      return socket?.uid === undefined ? undefined : BigInt(socket.uid);
    case 'meta skgid':
      return socket?.gid === undefined ? undefined : BigInt(socket.gid);
    case 'ip saddr':
      return family === 4 ? flow.source.value : undefined;
    case 'ip daddr':
      return family === 4 ? flow.destination.value : undefined;
    case 'ip6 saddr':
      return family === 6 ? flow.source.value : undefined;
    case 'ip6 daddr':
      return family === 6 ? flow.destination.value : undefined;
    case 'th sport':
      return transport(flow, 'source');
    case 'th dport':
      return transport(flow, 'destination');
    case 'icmpv6 type':
      return flow.protocol === IPPROTO_ICMPV6 && flow.icmp !== undefined ? BigInt(flow.icmp.type) : undefined;
    case 'tcp flags':
      return flow.protocol === IPPROTO_TCP ? (flow.midstream ? 'ack' : 'syn') : undefined;
    case 'cgroup':
      return socket?.cgroups.get(field.level);
  }
}

const within = (part: Interval | string, value: bigint | string): boolean =>
  typeof part === 'string' ? part === value : typeof value === 'bigint' && part.first <= value && value <= part.last;

function setContains(set: NftSet, key: readonly (bigint | string)[]): boolean {
  return set.elements.some((element) => element.key.every((part, i) => within(part, key[i] ?? '')));
}

/** What a field is in a packet, in bytes; it takes whole registers of 4. */
const FIELD_BYTES: Partial<Record<Field['kind'], number>> = {
  'meta l4proto': 1,
  'th sport': 2,
  'th dport': 2,
  'ip saddr': 4,
  'ip daddr': 4,
  'ip6 saddr': 16,
  'ip6 daddr': 16,
};

function registerBytes(state: State, field: Field): number[] | undefined {
  const width = FIELD_BYTES[field.kind];
  const value = read(state, field);
  if (width === undefined) throw new RangeError(`${field.kind} is not hashed`);
  if (typeof value !== 'bigint') return undefined;
  const bytes = Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * (width - 1 - i))) & 0xffn));
  return [...bytes, ...Array<number>((4 - (width % 4)) % 4).fill(0)];
}

function lookUp(state: State, map: string, field: Field) {
  const value = read(state, field);
  const found = state.ruleset.maps.get(map);
  if (found === undefined) throw new RangeError(`no map ${map}`);
  return typeof value === 'bigint' ? found.elements.find(({ key }) => key === value)?.data : undefined;
}

function writeMark(state: State, to: 'meta mark' | 'ct mark', value: number): void {
  if (to === 'meta mark') state.metaMark = value >>> 0;
  else if (state.ctMark !== undefined) state.ctMark = value >>> 0;
}

const markOf = (state: State, field: 'meta mark' | 'ct mark'): number | undefined =>
  field === 'meta mark' ? state.metaMark : state.ctMark;

/** `break`: the rule does not match; an outcome ends it; `undefined` goes on with the next expression. */
function evaluate(state: State, expression: Expression): Outcome | 'break' {
  switch (expression.kind) {
    case 'compare': {
      if (expression.field.kind === 'ct label')
        return expression.values.some((label) => state.ctLabels.includes(Number(label))) ? undefined : 'break';
      const value = read(state, expression.field);
      if (value === undefined) return 'break';
      const equal = expression.values.some((v) =>
        typeof value === 'bigint' && typeof v !== 'string' ? value === BigInt(v) : value === v,
      );
      return equal === (expression.negate ?? false) ? 'break' : undefined;
    }
    case 'lookup': {
      const key = expression.fields.map((field) => read(state, field)).filter((value) => value !== undefined);
      const set = state.ruleset.sets.get(expression.set);
      if (set === undefined) throw new RangeError(`no set ${expression.set}`);
      if (key.length < expression.fields.length) return 'break';
      return setContains(set, key) === (expression.negate ?? false) ? 'break' : undefined;
    }
    case 'vmap': {
      const data = lookUp(state, expression.map, expression.field);
      return data?.kind === 'verdict' ? data.verdict : 'break';
    }
    case 'hash vmap': {
      const { fields, modulus, seed, elements } = expression;
      const bytes = fields.map((field) => registerBytes(state, field));
      if (bytes.includes(undefined)) return 'break';
      const value = jhashMod(Uint8Array.from(bytes.flatMap((part) => part ?? [])), seed, modulus);
      return elements.find(({ first, last }) => first <= value && value <= last)?.verdict ?? 'break';
    }
    case 'map mark': {
      const data = lookUp(state, expression.map, expression.field);
      if (data?.kind !== 'mark') return 'break';
      writeMark(state, expression.to, data.mark);
      return undefined;
    }
    case 'set mark':
    case 'copy mark': {
      const from = markOf(state, expression.kind === 'set mark' ? expression.to : expression.from);
      if (from === undefined) return 'break';
      writeMark(
        state,
        expression.to,
        (from & expression.keep) | (expression.kind === 'set mark' ? expression.value : 0),
      );
      return undefined;
    }
    case 'reject':
      state.rejectWith = expression.with;
      return { kind: 'reject' };
    case 'queue':
      return { kind: 'queue' };
    case 'masquerade':
      state.masqueraded = true;
      return { kind: 'accept' };
    case 'redirect':
      state.redirectedTo = expression.port;
      return { kind: 'accept' };
    case 'verdict':
      return expression.verdict;
    case 'over rate':
      // One packet is never too many.
      return 'break';
    case 'set label':
      if (state.ctMark !== undefined) state.ctLabels = [...state.ctLabels, expression.label];
      return undefined;
    case 'set original zone':
    case 'log':
    case 'update set':
    case 'counter':
      return undefined;
  }
}

function runChain(state: State, name: string): Outcome {
  const chain = state.ruleset.chains.get(name);
  if (chain === undefined) throw new RangeError(`no chain ${name}`);
  if (state.chains.push(name) > MAX_CHAINS) throw new RangeError('chains go in a circle');
  for (const { expressions } of chain.rules) {
    let outcome: Outcome | 'break';
    for (const expression of expressions) {
      outcome = evaluate(state, expression);
      if (outcome !== undefined) break;
    }
    if (outcome === undefined || outcome === 'break') continue;
    if (outcome.kind === 'return') return undefined;
    if (outcome.kind === 'goto') return runChain(state, outcome.chain);
    if (outcome.kind === 'jump') {
      const inner = runChain(state, outcome.chain);
      if (inner !== undefined) return inner;
      continue;
    }
    return outcome;
  }
  return undefined;
}

const baseChains = (ruleset: Ruleset, hook: string, inDevice: string | undefined): Chain[] =>
  [...ruleset.chains.values()]
    .filter((chain) => chain.hook?.hook === hook)
    .filter(({ hook: at }) => at?.devices === undefined || at.devices.includes(inDevice ?? ''))
    .sort((a, b) => (a.hook?.priority ?? 0) - (b.hook?.priority ?? 0));

const result = (state: State, verdict: TraceResult['verdict']): TraceResult => ({
  verdict,
  ...(state.rejectWith === undefined ? {} : { rejectWith: state.rejectWith }),
  outDevice: state.outDevice,
  metaMark: state.metaMark,
  ...(state.ctMark === undefined ? {} : { ctMark: state.ctMark }),
  ctLabels: state.ctLabels,
  masqueraded: state.masqueraded,
  ...(state.redirectedTo === undefined ? {} : { redirectedTo: state.redirectedTo }),
  chains: state.chains,
});

/** Hooks of type route look the route up again where the mark has changed, hooks of type nat where the destination has. */
function isRerouted({ hook }: Chain, before: Pick<State, 'metaMark' | 'redirectedTo'>, after: State): boolean {
  if (hook?.type === 'route') return before.metaMark !== after.metaMark;
  return hook?.type === 'nat' && before.redirectedTo !== after.redirectedTo;
}

export interface TraceOptions {
  /** Nobody listens to the queue. */
  readonly isAway?: boolean;
  readonly reroute?: Reroute;
}

/** Runs the packet through the base chains of one hook after the other. */
export function trace(
  ruleset: Ruleset,
  packet: TracePacket,
  hooks: readonly ('output' | 'postrouting' | 'input' | 'ingress' | 'prerouting')[] = ['output'],
  { isAway = false, reroute }: TraceOptions = {},
): TraceResult {
  const state: State = {
    ruleset,
    packet,
    metaMark: packet.metaMark,
    ctMark: packet.ctMark,
    ctLabels: packet.ctLabels ?? [],
    outDevice: packet.outDevice,
    hookDevice: packet.outDevice,
    flow: packet.flow,
    masqueraded: false,
    chains: [],
  };
  /** Whether there is a route. */
  const routeAgain = (): boolean => {
    if (reroute === undefined) return true;
    const { metaMark: mark, flow, redirectedTo } = state;
    const device = reroute({ mark, destination: flow.destination, redirected: redirectedTo !== undefined });
    state.outDevice = device ?? state.outDevice;
    return device !== undefined;
  };
  const unroutable = (): TraceResult => ({ ...result(state, 'drop'), unroutable: true });
  /** Whether there is a route; of what is translated already, nothing more is done. */
  const translate = (): boolean => {
    const { translatedTo } = packet;
    if (translatedTo === undefined || state.flow !== packet.flow || state.redirectedTo !== undefined) return true;
    state.flow = { ...state.flow, destination: translatedTo };
    return routeAgain();
  };
  for (const hook of hooks) {
    state.hookDevice = state.outDevice;
    for (const chain of baseChains(ruleset, hook, packet.inDevice)) {
      if (hook === 'output' && (chain.hook?.priority ?? 0) > PRIORITY_DSTNAT && !translate()) return unroutable();
      const before = { ...state };
      const outcome = runChain(state, chain.name) ?? { kind: chain.hook?.policy ?? 'accept' };
      if (outcome.kind === 'queue' && isAway) continue;
      if (outcome.kind === 'drop' || outcome.kind === 'queue' || outcome.kind === 'reject')
        return result(state, outcome.kind);
      if (isRerouted(chain, before, state) && !routeAgain()) return unroutable();
    }
    if (hook === 'output' && !translate()) return unroutable();
  }
  return result(state, 'accept');
}
