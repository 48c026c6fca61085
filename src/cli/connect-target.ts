/** `--to` of `explain`: what a program would connect to. */
import { formatAddress, parseAddress, unmapAddress } from '../net/address.ts';
import { parsePortRange } from '../net/port.ts';
import { destinationHint, portInAddress, SERVICE_PORTS } from '../policy/destination-hint.ts';

export interface ConnectTarget {
  /** An address without brackets, or a name. */
  readonly host: string;
  readonly port?: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
}

export type ConnectTargetResult =
  | { readonly ok: true; readonly value: ConnectTarget }
  | { readonly ok: false; readonly message: string };

// RFC 1035 section 2.3.4, plus the underscore that names of services have
const NAME = /^(?=.{1,253}\.?$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/i;
const LOOKS_LIKE_V4 = /^[\d.]+$/;
const TARGET = /^(\[[^\]]*\]|[^[\]/]*?)(?::([^:/\]]*))?(?:\/(.*))?$/;

/** `HOST:PORT` (TCP), `HOST:PORT/udp`, `HOST/icmp`; an IPv6 address with a port in brackets. */
export function parseConnectTarget(text: string): ConnectTargetResult {
  if (text.includes('://')) return mistake(`this is a URL: ${destinationHint(text) ?? 'write HOST:PORT'}`);
  const doubt = portInAddress(text);
  if (doubt !== undefined) return mistake(`an IPv6 address needs brackets and a port: ${doubt.hint}`);
  const [bare, protocolText] = splitProtocol(text);
  // A whole IPv6 address ends in something that looks like a port.
  const isBareV6 = parseAddress(bare)?.family === 6;
  if (isBareV6 && protocolText !== 'icmp') {
    return mistake(`an IPv6 address needs brackets and a port: [${bare}]:443`);
  }
  const [, hostText = '', portText] = isBareV6 ? [bare, bare] : (TARGET.exec(bare) ?? []);
  const written = hostText.startsWith('[') ? hostText.slice(1, -1) : hostText;
  const problem = hostProblem(written, hostText.startsWith('['));
  if (problem !== undefined) return mistake(problem);
  const host = asInPackets(written);
  switch (protocolText) {
    case 'icmp':
      if (portText !== undefined) return mistake('ICMP has no ports: HOST/icmp');
      return { ok: true, value: { host, protocol: 'icmp' } };
    case undefined:
    case 'tcp':
    case 'udp':
      return withPort(host, portText, protocolText ?? 'tcp');
    default:
      return mistake(`the protocol is tcp, udp or icmp, not "${protocolText}"`);
  }
}

function splitProtocol(text: string): readonly [bare: string, protocol: string | undefined] {
  const slash = text.indexOf('/');
  return slash < 0 ? [text, undefined] : [text.slice(0, slash), text.slice(slash + 1).toLowerCase()];
}

function withPort(host: string, portText: string | undefined, protocol: 'tcp' | 'udp'): ConnectTargetResult {
  if (portText === undefined) return mistake(`which port? ${host}:443, ${host}:53/udp, or ${host}/icmp`);
  const range = portText === '*' ? undefined : parsePortRange(portText);
  if (range === undefined || range.first !== range.last || range.first === 0) {
    const port = SERVICE_PORTS.get(portText.toLowerCase());
    const meant = port === undefined ? '1 to 65535' : `did you mean ${port}?`;
    return mistake(`"${portText}" is not a port: ${meant}`);
  }
  return { ok: true, value: { host, port: range.first, protocol } };
}

function hostProblem(host: string, inBrackets: boolean): string | undefined {
  if (host === '') return 'which host? HOST:PORT';
  const address = parseAddress(host);
  if (inBrackets) return address?.family === 6 ? undefined : `"${host}" is not an IPv6 address`;
  if (address !== undefined) return undefined;
  if (LOOKS_LIKE_V4.test(host) || !NAME.test(host)) return `"${host}" is neither an address nor a name`;
  return undefined;
}

/** A program that connects to an IPv4-mapped address sends IPv4. */
function asInPackets(host: string): string {
  const address = parseAddress(host);
  const unmapped = address && unmapAddress(address);
  return unmapped === undefined || unmapped === address ? host : formatAddress(unmapped);
}

function mistake(message: string): ConnectTargetResult {
  return { ok: false, message };
}

/** The text that `parseConnectTarget` reads back, with the protocol. */
export function formatConnectTarget({ host, port, protocol }: ConnectTarget): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? `${shown}/${protocol}` : `${shown}:${port}/${protocol}`;
}
