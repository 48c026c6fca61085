/** What people write where a destination should stand, as in other firewalls and tools, and what they mean by it. */
import { type Address, formatAddress, parseAddress } from '../net/address.ts';

/** Longer lists of networks help nobody. */
const MAX_NETWORKS = 8;
const IPV4_BITS = 32;
const LAST_PORT = 65_535;
/** Words that mean every destination somewhere else. */
const EVERYTHING: ReadonlySet<string> = new Set(['any', 'all', 'everything', 'anywhere', 'everywhere', 'world']);
/** Words for networks that the machine is connected to. */
const CONNECTED: ReadonlySet<string> = new Set([
  ...['onlink', 'on_link', 'link', 'connected', 'directly-connected', 'neighbours', 'neighbors', 'subnet', 'localnet'],
]);
const UPLINK_TYPES: ReadonlySet<string> = new Set(['vpn', 'wifi', 'ethernet', 'cellular', 'satellite', 'bluetooth']);
/** What network devices are called: by the kernel, by systemd.net-naming-scheme(7), by the usual tunnels. */
const DEVICE = /^(?:(?:eth|wlan|wwan|usb|tun|tap|wg|ppp|br|bond|veth|docker|virbr)\d+|(?:en|wl|ww)[opsxP][a-z0-9]+)$/;

/** `undefined` where it looks like nothing that is known. `text`: the whole entry. */
export function destinationHint(text: string): string | undefined {
  return (
    ofNegation(text) ??
    ofUrl(text) ??
    ofBlank(text) ??
    ofWildcard(text) ??
    ofRange(text) ??
    ofNetmask(text) ??
    ofZone(text) ??
    ofProtocolFirst(text.toLowerCase()) ??
    ofShortAddress(text) ??
    ofWord(text.toLowerCase()) ??
    ofEveryProtocol(text)
  );
}

/** Ports that people add to an address. In hexadecimal digits they are the end of an IPv6 address as well. */
const USUAL_PORTS: ReadonlySet<string> = new Set(
  [22, 25, 53, 80, 123, 143, 443, 465, 587, 853, 993, 995, 1194, 5060, 5222, 5432, 8000, 8080, 8443].map(String),
);

/** `2001:db8::1:443`, which is an address as it stands; in brackets nobody doubts it. */
export function portInAddress(text: string): { readonly message: string; readonly hint: string } | undefined {
  const [, address = '', port = ''] = /^([0-9a-f:]+[0-9a-f]):(\d+)$/i.exec(text) ?? [];
  if (!USUAL_PORTS.has(port) || parseAddress(text)?.family !== 6 || parseAddress(address)?.family !== 6)
    return undefined;
  const message = `this is the address ${text}, with all ports`;
  return { message, hint: `for port ${port} write "[${address}]:${port}", for the address "[${text}]"` };
}

/** Of the part after the colon. */
export function portHint(text: string): string | undefined {
  const [, first, , last] = /^(\d*)(-|:|\.\.)(\d*)$/.exec(text) ?? [];
  if (first === undefined || last === undefined || first + last === '') return undefined;
  const low = first === '' ? 1 : Math.max(1, Number(first));
  const high = last === '' ? LAST_PORT : Number(last);
  if (low > LAST_PORT || high > LAST_PORT || high === 0) return undefined;
  return `did you mean ${Math.min(low, high)}-${Math.max(low, high)}?`;
}

function ofNegation(text: string): string | undefined {
  if (!/^[!~]|^not\s/i.test(text)) return undefined;
  return 'what is not meant stands in a rule of its own before this one, with its own "do"';
}

function ofUrl(text: string): string | undefined {
  const [, scheme, host, port] = /^([a-z]+):\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]+)(?::(\d+))?/i.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  const usual = { http: 80, ws: 80, https: 443, wss: 443, ftp: 21, ssh: 22 }[scheme.toLowerCase()];
  const shown = port ?? usual;
  return shown === undefined ? `write the host: "${host}"` : `write host and port: "${host}:${shown}"`;
}

function ofBlank(text: string): string | undefined {
  const [, host, port] = /^(\S+)\s+(\d+)$/.exec(text) ?? [];
  if (host !== undefined) return `write host and port: "${host}:${port}"`;
  return /^\S+[,\s]+\S/.test(text) && /\s/.test(text)
    ? 'each destination is an entry of a list: ["a", "b"]'
    : undefined;
}

/** `192.168.1.*` */
function ofWildcard(text: string): string | undefined {
  const [, start] = /^((?:\d{1,3}\.){1,3})(?:\*\.?)+$/.exec(text) ?? [];
  if (start === undefined) return undefined;
  const given = start.split('.').filter((part) => part !== '');
  const network = [...given, '0', '0', '0'].slice(0, 4).join('.');
  return parseAddress(network) === undefined ? undefined : `write the network: "${network}/${8 * given.length}"`;
}

/** `192.168.1.10-192.168.1.20` */
function ofRange(text: string): string | undefined {
  const [from, to] = text.split('-').map((part) => parseAddress(part.trim()));
  if (from?.family !== 4 || to?.family !== 4 || text.split('-').length !== 2) return undefined;
  const networks = networksOf(Number(from.value), Number(to.value));
  if (networks.length === 0 || networks.length > MAX_NETWORKS)
    return 'a range is written as the networks that it is made of';
  return `write its networks: [${networks.map((network) => `"${network}"`).join(', ')}]`;
}

/** The networks that cover these IPv4 addresses and no others. */
function networksOf(first: number, last: number): string[] {
  const networks: string[] = [];
  for (let at = first; at <= last && networks.length <= MAX_NETWORKS; ) {
    let hostBits = 0;
    while (hostBits < IPV4_BITS && at % 2 ** (hostBits + 1) === 0 && at + 2 ** (hostBits + 1) - 1 <= last)
      hostBits += 1;
    const address: Address = { family: 4, value: BigInt(at) };
    networks.push(`${formatAddress(address)}${hostBits === 0 ? '' : `/${IPV4_BITS - hostBits}`}`);
    at += 2 ** hostBits;
  }
  return networks;
}

/** `192.168.1.0/255.255.255.0`, and the inverted masks of routers. */
function ofNetmask(text: string): string | undefined {
  const [host = '', mask = ''] = text.split('/');
  const [address, bits] = [parseAddress(host), parseAddress(mask)];
  if (address?.family !== 4 || bits?.family !== 4) return undefined;
  const ones = bits.value.toString(2).padStart(IPV4_BITS, '0');
  const length = /^1*0*$/.test(ones)
    ? ones.replace(/0/g, '').length
    : /^0*1*$/.test(ones)
      ? ones.replace(/1/g, '').length
      : undefined;
  if (length === undefined) return undefined;
  const network = BigInt.asUintN(
    IPV4_BITS,
    (address.value >> BigInt(IPV4_BITS - length)) << BigInt(IPV4_BITS - length),
  );
  return `write the length of the prefix: "${formatAddress({ family: 4, value: network })}/${length}"`;
}

/** `fe80::1%wlan0` (RFC 4007 section 11). */
function ofZone(text: string): string | undefined {
  const [, address = ''] = /^\[?([0-9a-f:]+)%[^\]]+\]?/i.exec(text) ?? [];
  return parseAddress(address)?.family === 6 ? `a destination has no zone: write "${address}"` : undefined;
}

/** What QUIC and HTTP/3 are carried by. */
const CARRIED_BY: Readonly<Record<string, string>> = { tcp: 'tcp', udp: 'udp', quic: 'udp', http3: 'udp' };

/** `tcp:443`, `tcp/443`, `443/tcp`, `443/quic` */
function ofProtocolFirst(text: string): string | undefined {
  const [, before, after] = /^([a-z]\w*)[:/](\d+(?:-\d+)?)$/.exec(text) ?? [];
  const [, first, last] = /^(\d+(?:-\d+)?)\/([a-z]\w*)$/.exec(text) ?? [];
  const [protocol, port] = [CARRIED_BY[before ?? last ?? ''], after ?? first];
  return protocol === undefined
    ? undefined
    : `ports stand behind the host, the protocol behind them: "*:${port}/${protocol}"`;
}

/** `10.0.0`, a network with what is left out. */
function ofShortAddress(text: string): string | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){1,2}\.?$/.test(text)) return undefined;
  const given = text.split('.').filter((part) => part !== '');
  const network = [...given, '0', '0'].slice(0, 4).join('.');
  return parseAddress(network) === undefined ? undefined : `write the network: "${network}/${8 * given.length}"`;
}

/** Words for all that is not inside. */
const OUTSIDE: ReadonlySet<string> = new Set([
  'wan',
  'public',
  'external',
  'outside',
  'nolan',
  'notlan',
  'not-lan',
  'remote',
]);
/** What services are called in other firewalls. */
export const SERVICE_PORTS: ReadonlyMap<string, number> = new Map([
  ['ssh', 22],
  ['smtp', 25],
  ['domain', 53],
  ['dns', 53],
  ['http', 80],
  ['ntp', 123],
  ['imap', 143],
  ['https', 443],
  ['imaps', 993],
]);

function ofWord(word: string): string | undefined {
  if (CONNECTED.has(word)) return 'all that is reached without a router is "on-link"';
  if (word === 'link-local')
    return 'link-local addresses are "169.254.0.0/16" and "fe80::/10"; all that is reached without a router is "on-link"';
  if (word === 'private') return 'private networks are "lan"; all that is reached without a router is "on-link"';
  if (EVERYTHING.has(word)) return 'every destination is "*"';
  if (OUTSIDE.has(word)) return 'all that is outside is "internet"';
  const port = SERVICE_PORTS.get(word);
  if (port !== undefined) return `a service is its port: "*:${port}"`;
  if (['gateway', 'router', 'gw'].includes(word)) return 'write its address: "192.168.1.1"';
  if (word === 'broadcast') return 'write its address: "255.255.255.255"';
  const [, group] = /^(lan|on-link|loopback|multicast)\/\d+$/.exec(word) ?? [];
  if (group !== undefined) return `it is more than one network: write "${group}" alone, or the network`;
  if (UPLINK_TYPES.has(word))
    return `the way out stands beside it: to: "*", do: allow, via: { require: { type: ${word} } }`;
  if (!DEVICE.test(word)) return undefined;
  return 'the way out stands beside it, by the name that `pointsman uplinks` shows: via: { require: { name: ... } }';
}

/** `*` and a protocol's number, as iptables has it. */
function ofEveryProtocol(text: string): string | undefined {
  return /^\*\/\d+$/.test(text)
    ? 'only tcp, udp and icmp are told apart, by name: "*/tcp"; "*" is every protocol'
    : undefined;
}
