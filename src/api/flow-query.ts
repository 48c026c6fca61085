/** Flows as people paste them: from `watch`, from `ss`, or only the part that they know. */
import { type Address, equalAddress, parseAddress, unmapAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { parsePortRange } from '../net/port.ts';
import { protocolNumber } from '../net/protocol.ts';
import { didYouMean } from '../policy/suggestion.ts';

/** Absent: any. */
export interface FlowEnd {
  readonly address?: Address;
  readonly port?: number;
}

/** One end is either of a flow's; two are the ends of a flow in either direction. */
export interface FlowQuery {
  readonly protocol?: number;
  readonly ends: readonly [FlowEnd] | readonly [FlowEnd, FlowEnd];
}

export type FlowQueryResult =
  | { readonly ok: true; readonly value: FlowQuery }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

export const MAX_FLOW_QUERY_LENGTH = 256;

const PROTOCOLS = ['tcp', 'udp', 'icmp', 'icmpv6', 'sctp', 'udplite', 'dccp'];
const ARROWS: readonly string[] = ['->', '→', '<->', '<-', '=>', 'to'];
/** What `watch` prints behind the addresses of an ICMP flow. */
const ICMP_TAIL = / type \d{1,3} code \d{1,3}(?: id \d{1,5})?$/;
const END = /^(?:\[([^\]]*)\]|([^[\]:]*))(?::([^:]*))?$/;
const FORMS = 'as in "tcp 10.0.0.1:4000 -> 192.0.2.1:443", 192.0.2.1:443, [2001:db8::1]:443 or :443';

/**
 * `[PROTOCOL] END [->] [END]`, where END is `ADDRESS`, `ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT` or `*:PORT`. The protocol may
 * also stand behind, as in `192.0.2.1:53/udp`.
 */
export function parseFlowQuery(text: string): FlowQueryResult {
  if (text.length > MAX_FLOW_QUERY_LENGTH) return mistake('that is longer than any flow', FORMS);
  const [words, suffix] = wordsOf(text);
  const [first = '', ...rest] = words;
  const named = protocolNumber(first.toLowerCase());
  // A number alone is a port or a process to whoever types it, not a protocol.
  const hasProtocol = named !== undefined && rest.length > 0;
  const ends = hasProtocol ? rest : words;
  const protocol = hasProtocol ? named : suffix === undefined ? undefined : protocolNumber(suffix);
  if (suffix !== undefined && protocol === undefined) return unknownProtocol(suffix);
  if (ends.length > 2 && /^[a-z]+$/i.test(first)) return unknownProtocol(first);
  if (ends.length === 0 || ends.length > 2) return mistake(`"${text.trim()}" is not a flow`, FORMS);
  const parsed: FlowEnd[] = [];
  for (const end of ends) {
    const result = parseEnd(end);
    if (typeof result === 'string') return result === '' ? notAnEnd(end, words) : mistake(result, FORMS);
    parsed.push(result);
  }
  const [one = {}, other] = parsed;
  const head = protocol === undefined ? {} : { protocol };
  return { ok: true, value: { ...head, ends: other === undefined ? [one] : [one, other] } };
}

function wordsOf(text: string): readonly [words: readonly string[], protocol: string | undefined] {
  const plain = text.trim().replace(ICMP_TAIL, '');
  const [, body = plain, suffix] = /^(.*\S)\/([a-z0-9]+)$/i.exec(plain) ?? [];
  const words = body.split(/\s+/).filter((word) => word !== '' && !ARROWS.includes(word));
  return [words, suffix?.toLowerCase()];
}

/** A sentence where it is nearly one, the empty text where it is none at all. */
function parseEnd(text: string): FlowEnd | string {
  const whole = parseAddress(text);
  if (whole !== undefined) return { address: unmapAddress(whole) };
  const [matched, bracketed, plain, portText] = END.exec(text) ?? [];
  if (matched === undefined) return '';
  const host = bracketed ?? plain ?? '';
  const address = host === '' || host === '*' ? undefined : parseAddress(host);
  if (host !== '' && host !== '*' && address === undefined) return '';
  if (bracketed !== undefined && address?.family !== 6) return `"${bracketed}" is not an IPv6 address`;
  const port = portText === undefined || portText === '*' ? undefined : parsePortRange(portText);
  if (portText !== undefined && portText !== '*' && (port === undefined || port.first !== port.last))
    return `"${portText}" is not a port: 0 to 65535`;
  if (address === undefined && port === undefined) return `"${text}" says nothing about a flow`;
  return {
    ...(address !== undefined && { address: unmapAddress(address) }),
    ...(port !== undefined && { port: port.first }),
  };
}

function notAnEnd(text: string, words: readonly string[]): FlowQueryResult {
  const isFirst = text === words[0];
  if (isFirst && words.length > 1 && /^[a-z]+$/i.test(text)) return unknownProtocol(text);
  return mistake(`"${text}" is not an address with a port; names are not looked up`, FORMS);
}

function unknownProtocol(word: string): FlowQueryResult {
  return mistake(`there is no protocol "${word}"`, didYouMean(word, PROTOCOLS) ?? FORMS);
}

function mistake(message: string, hint: string): FlowQueryResult {
  return { ok: false, message, hint };
}

type FlowEnds = Pick<Flow, 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort'>;

export function matchesFlow({ protocol, ends }: FlowQuery, flow: FlowEnds): boolean {
  if (protocol !== undefined && protocol !== flow.protocol) return false;
  const isSource = (end: FlowEnd): boolean => isEnd(end, flow.source, flow.sourcePort);
  const isDestination = (end: FlowEnd): boolean => isEnd(end, flow.destination, flow.destinationPort);
  const [one, other] = ends;
  if (other === undefined) return isSource(one) || isDestination(one);
  return (isSource(one) && isDestination(other)) || (isSource(other) && isDestination(one));
}

function isEnd({ address, port }: FlowEnd, has: Address, hasPort: number | undefined): boolean {
  if (port !== undefined && port !== hasPort) return false;
  return address === undefined || equalAddress(address, unmapAddress(has));
}
