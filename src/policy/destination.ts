/** Text of one destination, `HOST[:PORTS][/PROTOCOL]`, or of one peer, as a value. */
import { formatAddress, formatPrefix, parsePrefix, prefixHasHostBits, unmapAddress } from '../net/address.ts';
import { type PortRange, parsePortRange } from '../net/port.ts';
import { destinationHint, portHint, SERVICE_PORTS } from './destination-hint.ts';
import type { DiagnosticCode } from './diagnostic.ts';
import { GROUPS } from './groups.ts';
import type { Destination, DestinationProtocol } from './model.ts';
import type { Span } from './source-text.ts';
import { didYouMean } from './suggestion.ts';

/** Entries of a port list. */
export const MAX_PORTS = 64;
/** A name has at most 253 characters, 64 port ranges at most 767. */
export const MAX_DESTINATION_LENGTH = 1100;
/** RFC 1035 section 2.3.4, without the root's dot. */
const MAX_NAME_LENGTH = 253;

/** Stands where a group may, and is none: an address of any group may be on a link. */
const ON_LINK = 'on-link';
const WORDS: readonly string[] = [...GROUPS, ON_LINK];

/** What differs between where a program connects to and who connects to it. */
interface Grammar {
  readonly what: 'destination' | 'peer';
  readonly protocols: readonly DestinationProtocol[];
}

const DESTINATION: Grammar = { what: 'destination', protocols: ['tcp', 'udp', 'icmp'] };
/** ICMP is answered by the kernel, not by programs. */
const PEER: Grammar = { what: 'peer', protocols: ['tcp', 'udp'] };

/** RFC 1123 section 2.1, with the underscores that names of buckets, services and devices have all the same (RFC 2181 section 11). */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

export type DestinationValue = Omit<Destination, 'text' | 'at'>;

/** `part`: where in the text the mistake stands. */
export interface DestinationMistake {
  readonly code: Extract<DiagnosticCode, 'invalid-destination' | 'host-bits-set' | 'not-yet-enforced' | 'too-long'>;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly part: Span;
}

export type DestinationResult =
  | { readonly ok: true; readonly value: DestinationValue }
  | { readonly ok: false; readonly mistake: DestinationMistake };

/** A stretch of the destination that knows where it stands. */
interface Piece extends Span {
  readonly text: string;
}

type Read<T> = { readonly value: T } | { readonly mistake: DestinationMistake };

export function parseDestination(text: string): DestinationResult {
  return parse(text, DESTINATION);
}

/** `PEER[:PORTS][/PROTOCOL]`, an entry of `accept`: the ports are local ones, and who connects has an address but no name. */
export function parsePeer(text: string): DestinationResult {
  return parse(text, PEER);
}

function parse(text: string, grammar: Grammar): DestinationResult {
  if (text.length > MAX_DESTINATION_LENGTH) {
    const message = `a ${grammar.what} has at most ${MAX_DESTINATION_LENGTH} characters`;
    return { ok: false, mistake: { code: 'too-long', message, part: { from: 0, to: text.length } } };
  }
  const result = parseParts(text, grammar);
  const hint = result.ok ? undefined : destinationHint(text);
  // What it looks like as a whole says more than what is wrong with a part.
  return result.ok || hint === undefined ? result : { ok: false, mistake: { ...result.mistake, hint } };
}

function parseParts(text: string, grammar: Grammar): DestinationResult {
  const { rest, protocolPiece } = splitProtocol(piece(text, 0));
  const split = splitHost(rest, grammar);
  if ('mistake' in split) return { ok: false, mistake: split.mistake };
  const protocol = protocolPiece === undefined ? { value: undefined } : readProtocol(protocolPiece, grammar);
  const target = readHost(split.value.host, split.value.inBrackets, grammar);
  const ports = split.value.ports === undefined ? { value: undefined } : readPorts(split.value.ports);
  if ('mistake' in target) return { ok: false, mistake: target.mistake };
  if ('mistake' in ports) return { ok: false, mistake: ports.mistake };
  if ('mistake' in protocol) return { ok: false, mistake: protocol.mistake };
  if (protocol.value === 'icmp' && split.value.ports !== undefined) {
    return { ok: false, mistake: invalid(split.value.ports, 'icmp has no ports') };
  }
  return {
    ok: true,
    value: {
      target: target.value,
      ...(ports.value === undefined ? {} : { ports: ports.value }),
      ...(protocol.value === undefined ? {} : { protocol: protocol.value }),
    },
  };
}

/** A `/` that is not followed by a digit starts the protocol. */
function splitProtocol(whole: Piece): { readonly rest: Piece; readonly protocolPiece?: Piece } {
  const slash = whole.text.lastIndexOf('/');
  if (slash === -1 || whole.text.includes('://') || /^\/\d/.test(whole.text.slice(slash))) return { rest: whole };
  return { rest: slice(whole, 0, slash), protocolPiece: slice(whole, slash + 1) };
}

function readProtocol(text: Piece, { what, protocols }: Grammar): Read<DestinationProtocol> {
  const protocol = protocols.find((known) => known === text.text);
  if (protocol !== undefined) return { value: protocol };
  const isIcmp = /^(ipv6-)?icmp(v?6|-?v6)?$/i.test(text.text);
  const aboutIcmp =
    what === 'peer'
      ? '`accept` is about programs, and the kernel itself answers ICMP'
      : 'did you mean "icmp"? It covers ICMP and ICMPv6';
  const isEvery = text.text === '' || text.text === '*';
  const ofProtocol = isEvery ? 'without a "/" it is every protocol' : didYouMean(text.text, protocols);
  const hint = isIcmp ? aboutIcmp : ofProtocol;
  return { mistake: invalid(text, `the protocol after "/" must be one of ${protocols.join(', ')}`, hint) };
}

function splitHost(rest: Piece, { what }: Grammar): Read<{ host: Piece; ports?: Piece; inBrackets: boolean }> {
  const { text } = rest;
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close === -1) return { mistake: invalid(rest, 'the "[" has no "]"') };
    const host = slice(rest, 1, close);
    const after = slice(rest, close + 1);
    if (after.text === '') return { value: { host, inBrackets: true } };
    if (after.text.startsWith(':')) return { value: { host, ports: slice(after, 1), inBrackets: true } };
    const hint = after.text.startsWith('/')
      ? 'the prefix length stands in the brackets: [2001:db8::/32]:443'
      : undefined;
    return { mistake: invalid(after, 'after "]" only ":" and ports may follow', hint) };
  }
  if (text.includes('://')) {
    return { mistake: invalid(rest, `a ${what} is no URL`) };
  }
  const colon = text.indexOf(':');
  const isIpv6 = colon !== text.lastIndexOf(':');
  if (colon === -1 || isIpv6) return { value: { host: rest, inBrackets: false } };
  return { value: { host: slice(rest, 0, colon), ports: slice(rest, colon + 1), inBrackets: false } };
}

function readHost(host: Piece, inBrackets: boolean, grammar: Grammar): Read<Destination['target']> {
  const { text } = host;
  if (text === '') return { mistake: invalid(host, 'the host is missing', 'write * for every host') };
  const isIpv6 = text.includes(':');
  if (isIpv6 || /^[\d./]+$/.test(text)) return readPrefix(host);
  if (inBrackets) return { mistake: invalid(host, 'in brackets only an IPv6 address or prefix may stand') };
  if (text === '*') return { value: { kind: 'any' } };
  if (text === ON_LINK) return { value: { kind: 'on-link' } };
  const group = GROUPS.find((known) => known === text);
  return group === undefined ? readName(host, grammar) : { value: { kind: 'group', group } };
}

function readPrefix(host: Piece): Read<Destination['target']> {
  const { text } = host;
  const prefix = parsePrefix(text);
  if (prefix === undefined) {
    const hint = text.includes(':') ? 'ports after an IPv6 address need brackets: [2001:db8::1]:443' : undefined;
    return { mistake: invalid(host, `${text.includes(':') ? 'no IPv6' : 'no IPv4'} address or prefix`, hint) };
  }
  const unmapped = unmapAddress(prefix.address);
  if (unmapped.family !== prefix.address.family) {
    const hint = `the packets are IPv4: write ${formatAddress(unmapped)}`;
    return { mistake: invalid(host, 'an IPv4-mapped IPv6 address matches no packet', hint) };
  }
  if (!prefixHasHostBits(text)) return { value: { kind: 'prefix', prefix } };
  const message = `the address has bits set beyond its prefix length /${prefix.length}`;
  const hint = `the network is ${formatPrefix(prefix)}`;
  return { mistake: { code: 'host-bits-set', message, hint, part: host } };
}

/** A single label needs a final dot, so that a group with a typing mistake is not taken for a name. */
function readName(host: Piece, { what }: Grammar): Read<Destination['target']> {
  const isAbsolute = host.text.endsWith('.');
  const name = (isAbsolute ? host.text.slice(0, -1) : host.text).toLowerCase();
  const labels = name.split('.');
  if (/\P{ASCII}/u.test(name)) {
    return { mistake: invalid(host, 'a name with other than ASCII letters is written in punycode (xn--...)') };
  }
  if (what === 'peer' && (labels.length > 1 || isAbsolute)) {
    const message = "a peer's name cannot be known: a connection comes from an address";
    return { mistake: invalid(host, message, 'write the address or the network of the peer, or a group such as lan') };
  }
  if (name.includes('*')) {
    const message = 'wildcards in names cannot be enforced by this version yet, so the file is refused';
    return { mistake: { code: 'not-yet-enforced', message, hint: eachHost(name), part: host } };
  }
  // As in cookies and NO_PROXY.
  if (name.startsWith('.') && LABEL.test(labels.at(-1) ?? ''))
    return { mistake: invalid(host, 'a name is one host, and none below it', eachHost(name)) };
  if (
    name.length > MAX_NAME_LENGTH ||
    !labels.every((label) => LABEL.test(label)) ||
    /^\d+$/.test(labels.at(-1) ?? '')
  ) {
    const hint = host.text.includes('/') ? 'only addresses have a prefix length' : undefined;
    return { mistake: invalid(host, 'no host name, address or group', hint) };
  }
  if (labels.length > 1 || isAbsolute) return { value: { kind: 'name', name } };
  const word = didYouMean(name, WORDS);
  if (what === 'peer') return { mistake: invalid(host, `no address, network or group (${WORDS.join(', ')})`, word) };
  const hint = word ?? `a host name without a dot ends in one: "${name}."`;
  return { mistake: invalid(host, `no group (${WORDS.join(', ')}), and a name has a dot`, hint) };
}

/** What somebody wrote who means a name and all below it. */
function eachHost(name: string): string {
  const labels = name.split('.').filter((label) => label !== '' && !label.includes('*'));
  const base = labels.length > 1 && labels.every((label) => LABEL.test(label)) ? labels.join('.') : 'example.org';
  return `name each host that is meant: ["${base}", "www.${base}"]`;
}

function readPorts(list: Piece): Read<readonly PortRange[] | undefined> {
  if (list.text === '*') return { value: undefined };
  const entries = list.text.split(',');
  if (entries.length > MAX_PORTS) {
    const message = `${entries.length} ports, at most ${MAX_PORTS} are allowed`;
    return { mistake: { code: 'too-long', message, part: list } };
  }
  const ports: PortRange[] = [];
  let from = 0;
  for (const entry of entries) {
    const range = entry === '*' ? undefined : parsePortRange(entry);
    if (range === undefined || range.first === 0) return { mistake: badPort(slice(list, from, from + entry.length)) };
    ports.push(range);
    from += entry.length + 1;
  }
  return { value: ports };
}

function badPort(entry: Piece): DestinationMistake {
  const port = SERVICE_PORTS.get(entry.text.toLowerCase());
  const hint = port !== undefined ? `did you mean ${port}?` : portHint(entry.text);
  const message = 'a port is a number from 1 to 65535, a range 8000-8100, a list 80,443, or *';
  return invalid(entry, message, hint);
}

function invalid(part: Piece, message: string, hint?: string): DestinationMistake {
  return { code: 'invalid-destination', message, hint, part: { from: part.from, to: part.to } };
}

function piece(text: string, from: number): Piece {
  return { text, from, to: from + text.length };
}

function slice(whole: Piece, from: number, to: number = whole.text.length): Piece {
  return piece(whole.text.slice(from, to), whole.from + from);
}
