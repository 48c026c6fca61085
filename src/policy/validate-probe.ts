/** What an uplink's file says of probes: `probe`. */
import { type Address, parseAddress, prefixWidth } from '../net/address.ts';
import { parseDestination } from './destination.ts';
import { type Path, spanOf } from './document.ts';
import { parseDurationMs } from './duration.ts';
import type { UplinkProbe } from './model.ts';
import { quoted } from './report.ts';
import type { ProbeFields, UplinkFields } from './schema.ts';
import type { Checking } from './validate-via.ts';

export const DEFAULT_PROBE_INTERVAL_MS = 10_000;
const MIN_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 3_600_000;
const HTTP_PORT = 80;
/** RFC 3986, without user and fragment; the rest of a URL has no blanks and no control characters. */
const HTTP_URL = /^http:\/\/([^/?#@\s]+)((?:\/|\?)[!-~]*)?$/i;
const PATH = ['probe'];

/** `undefined` where the file does not say, and where what it says is wrong. */
export function validateProbe(probe: UplinkFields['probe'], checking: Checking): 'off' | UplinkProbe | undefined {
  if (probe === undefined || probe === 'off') return probe;
  const icmp = listOf(probe.icmp, 'icmp').flatMap(([text, path]) => oneOrNone(address(text, path, checking)));
  const tcp = listOf(probe.tcp, 'tcp').flatMap(([text, path]) => oneOrNone(endpoint(text, path, checking)));
  const http = probe.http === undefined ? undefined : httpUrl(probe.http, checking);
  const dns = probe.dns === undefined ? undefined : dnsQuestion(probe.dns, checking);
  const intervalMs = probe.interval === undefined ? DEFAULT_PROBE_INTERVAL_MS : interval(probe.interval, checking);
  if (intervalMs === undefined) return undefined;
  return { icmp, tcp, ...(http !== undefined && { http }), ...(dns !== undefined && { dns }), intervalMs };
}

const oneOrNone = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);

/** Each text with its place. */
function listOf(field: ProbeFields['icmp'], key: 'icmp' | 'tcp'): (readonly [text: string, path: Path])[] {
  if (typeof field === 'string') return [[field, [...PATH, key]]];
  return (field ?? []).flatMap((text, index): (readonly [string, Path])[] =>
    text === undefined ? [] : [[text, [...PATH, key, index]]],
  );
}

function refuse({ document, report }: Checking, path: Path, message: string, hint?: string): undefined {
  report.error(spanOf(document, path), { code: 'invalid-value', message, hint });
  return undefined;
}

function address(text: string, path: Path, checking: Checking): Address | undefined {
  const parsed = parseAddress(text);
  return parsed ?? refuse(checking, path, `${quoted(text)} is no IPv4 or IPv6 address`);
}

interface Endpoint {
  readonly host: Address | string;
  readonly port: number | undefined;
}

/** `HOST[:PORT]` with one address or name and at most one port. */
function parseEndpoint(text: string): Endpoint | undefined {
  const parsed = parseDestination(text);
  if (!parsed.ok || parsed.value.protocol !== undefined) return undefined;
  const { target, ports } = parsed.value;
  const [range, ...others] = ports ?? [];
  if (others.length > 0 || (range !== undefined && range.first !== range.last)) return undefined;
  const port = range?.first;
  if (target.kind === 'name') return { host: target.name, port };
  if (target.kind !== 'prefix' || target.prefix.length !== prefixWidth(target.prefix.address.family)) return undefined;
  return { host: target.prefix.address, port };
}

function endpoint(text: string, path: Path, checking: Checking): UplinkProbe['tcp'][number] | undefined {
  const { host, port } = parseEndpoint(text) ?? {};
  if (host !== undefined && typeof host !== 'string' && port !== undefined) return { address: host, port };
  const message = `${quoted(text)} is not an address and a port such as "192.0.2.1:443" or "[2001:db8::1]:443"`;
  return refuse(checking, path, message);
}

function httpUrl(text: string, checking: Checking): UplinkProbe['http'] {
  const path = [...PATH, 'http'];
  if (/^https:/i.test(text)) {
    return refuse(checking, path, 'a captive portal cannot answer for https', 'name a URL that starts with http://');
  }
  const [, authority = '', rest = '/'] = HTTP_URL.exec(text) ?? [];
  const parsed = authority === '' ? undefined : parseEndpoint(authority);
  if (parsed === undefined) {
    const message = `${quoted(text)} is no URL such as "http://connectivity.example/generate_204"`;
    const isOneLabel = /^[a-z0-9-]+$/i.test(authority);
    return refuse(
      checking,
      path,
      message,
      isOneLabel ? `a name without a dot ends in one: "http://${authority}./"` : undefined,
    );
  }
  const { host, port = HTTP_PORT } = parsed;
  return { host, port, path: rest.startsWith('/') ? rest : `/${rest}` };
}

function dnsQuestion(fields: NonNullable<ProbeFields['dns']>, checking: Checking): UplinkProbe['dns'] {
  // What is missing has been reported.
  const { server: serverText, name: nameText } = fields;
  const server = serverText === undefined ? undefined : address(serverText, [...PATH, 'dns', 'server'], checking);
  const name = nameText === undefined ? undefined : dnsName(nameText, checking);
  return server === undefined || name === undefined ? undefined : { server, name };
}

function dnsName(text: string, checking: Checking): string | undefined {
  const { host, port } = parseEndpoint(text) ?? {};
  if (typeof host === 'string' && port === undefined) return host;
  return refuse(checking, [...PATH, 'dns', 'name'], `${quoted(text)} is no name such as "example.org"`);
}

function interval(text: string, checking: Checking): number | undefined {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms;
  return refuse(checking, [...PATH, 'interval'], `${quoted(text)} is no time from 1s to 1h`, 'such as 10s or 5m');
}
