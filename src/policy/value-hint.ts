/** What people write as the value of a key, and what they mean by it. */
import { parseAddress } from '../net/address.ts';
import type { Path } from './document.ts';
import { ALL_CGROUPS_HINT } from './match-fit.ts';

const UPLINK_TYPES: ReadonlySet<string> = new Set(['vpn', 'wifi', 'ethernet', 'cellular', 'satellite', 'bluetooth']);
const ELSE: ReadonlySet<string> = new Set(['block', 'wait', 'any']);
const UPLINK_NAME = /^[a-z][a-z0-9-]{0,14}$/;
const UNIT = /^[A-Za-z0-9:_.\\@-]+$/;

/** `undefined` where it looks like nothing that is known. */
export function valueHint(path: Path, value: unknown): string | undefined {
  const key = String(path.findLast((step) => typeof step === 'string') ?? '');
  switch (key) {
    case 'pointsman':
      return typeof value === 'string' ? 'write it without quotes: pointsman: 1' : undefined;
    case 'to':
      if (isMap(value)) return 'host and ports are one text: to: "HOST:443"';
      return isPort(value) ? `a port alone stands behind a colon: to: "*:${value}"` : undefined;
    case 'accept':
      return isPort(value) ? `a port alone stands behind a colon: ${key}: "*:${value}"` : undefined;
    case 'via':
      return typeof value === 'string' ? viaHint(value) : undefined;
    case 'require':
    case 'prefer':
    case 'avoid':
    case 'prohibit':
      return typeof value === 'string' ? constraintHint(key, value) : undefined;
    case 'else':
      return typeof value === 'string' ? elseHint(value.toLowerCase()) : undefined;
    case 'local':
      return localHint(value);
    case 'children':
      return meaning(value, CHILDREN);
    case 'existing':
      return meaning(value, EXISTING);
    case 'whenAway':
      return meaning(value, WHEN_AWAY);
    case 'gateway':
      return typeof value === 'string' && path.length === 1 ? gatewayHint(value) : undefined;
    case 'sticky':
    case 'interval':
      return typeof value === 'number' ? `a time has a unit: ${key}: ${value}s` : undefined;
    case 'device':
      return typeof value === 'string' && /[*?[\]]/.test(value)
        ? 'an uplink is one device, as `ip link` names it: a file for each'
        : undefined;
    case 'match':
      return typeof value === 'string' ? matchHint(value) : undefined;
    case 'cgroup':
      return typeof value === 'string' ? cgroupHint(value) : undefined;
    case 'exec':
    case 'script':
      return typeof value === 'string' ? pathHint(value) : undefined;
    case 'kernel':
      return typeof value === 'string' ? kernelHint(value) : undefined;
    case 'unit':
      return typeof value === 'string' ? unitHint(value) : undefined;
    case 'rtt':
    case 'loss':
    case 'bandwidth':
      return typeof value === 'number' ? quantityHint(key, value, path.includes('via')) : undefined;
    case 'probe':
      return probeHint(value);
    default:
      return undefined;
  }
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;

const isMap = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What `via` is left out for: it would be the name of an uplink that nobody has. */
const NO_VIA: ReadonlySet<string> = new Set(['system', 'none', 'default', 'direct', 'auto', 'main', 'no', 'off']);

const CHILDREN: ReadonlyMap<string, readonly string[]> = new Map([
  ['children: same', ['yes', 'true', 'on', 'inherit', 'all', 'follow', 'parent']],
  ['children: own', ['no', 'false', 'off', 'none', 'separate']],
]);
const EXISTING: ReadonlyMap<string, readonly string[]> = new Map([
  ['existing: abort', ['kill', 'close', 'reset', 'cut', 'terminate', 'end', 'drop', 'no', 'false']],
  ['existing: keep', ['stay', 'leave', 'yes', 'true']],
]);
const WHEN_AWAY: ReadonlyMap<string, readonly string[]> = new Map([
  ['whenAway: closed', ['deny', 'block', 'drop', 'refuse', 'reject', 'close']],
  ['whenAway: open', ['allow', 'accept', 'pass', 'permit']],
]);

/** By the words that somebody may use for it. */
function meaning(value: unknown, meanings: ReadonlyMap<string, readonly string[]>): string | undefined {
  const word = String(value).toLowerCase();
  const [meant] = [...meanings].find(([, words]) => words.includes(word)) ?? [];
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

/** A type or a name alone, where it is to be said which of both. */
function constraintHint(key: string, text: string): string | undefined {
  const word = text.toLowerCase();
  if (UPLINK_TYPES.has(word)) return `by its type: ${key}: { type: ${word} }`;
  return UPLINK_NAME.test(word) ? `by its name: ${key}: { name: ${word} }` : undefined;
}

/** `else` names no second uplink, and no verb. */
function elseHint(word: string): string | undefined {
  if (['allow', 'accept', 'pass', 'permit', 'default', 'system'].includes(word))
    return 'by any other uplink that is up: else: any';
  if (['deny', 'drop', 'reject', 'refuse', 'none'].includes(word)) return 'did you mean else: block?';
  if (!UPLINK_TYPES.has(word)) return undefined;
  return `the second choice is required as well, and the first preferred: via: { require: { type: [FIRST, ${word}] }, prefer: { type: FIRST } }`;
}

function viaHint(text: string): string | undefined {
  const word = text.toLowerCase();
  if (NO_VIA.has(word)) return 'leave `via` out: without one the system routes it';
  if (UPLINK_TYPES.has(word)) return `for whichever uplink is of this type: via: { require: { type: ${word} } }`;
  if (ELSE.has(word)) return `what to do without an uplink: via: { else: ${word} }`;
  return UPLINK_NAME.test(word) ? `for the uplink of this name: via: { require: { name: ${word} } }` : undefined;
}

/** Of `local` in a `via`. */
function localHint(value: unknown): string | undefined {
  const word = String(value).toLowerCase();
  if (UPLINK_TYPES.has(word) || ['uplink', 'tunnel', 'false', 'no'].includes(word))
    return 'which uplink it is, `require` says; that local networks are reached by it, too: local: via';
  if (['direct', 'directly', 'lan', 'on-link', 'allow', 'true', 'yes'].includes(word))
    return 'directly, as the system routes it: local: system';
  return ['deny', 'drop', 'refuse', 'none'].includes(word) ? 'refused: local: block' : undefined;
}

function matchHint(text: string): string | undefined {
  return text.startsWith('/') ? `an entry says of which kind it is: match: [{ exec: ${text} }]` : undefined;
}

function pathHint(text: string): string | undefined {
  if (text.startsWith('~')) return 'write the home directory out: /home/NAME/...';
  if (text.length > 1 && text.endsWith('/')) return 'a directory is no program: name the file in it';
  if (text.startsWith('/') || text === '') return undefined;
  return text.includes('/')
    ? 'write the path from the root'
    : `write the whole path, as \`command -v ${text}\` prints it`;
}

/** By what it is called elsewhere; of some the kernel only carries on what a program has opened. */
function kernelHint(text: string): string | undefined {
  switch (text.toLowerCase()) {
    case 'iscsi':
    case 'open-iscsi':
      return "iSCSI's connections are opened by its daemon: exec: /usr/sbin/iscsid";
    case 'nbd':
      return 'connections of network block devices are opened by a program: exec: /usr/sbin/nbd-client';
    case 'wg':
      return 'did you mean kernel: wireguard?';
    case 'smb':
    case 'smb3':
    case 'samba':
      return 'for what is mounted: kernel: cifs; for programs of Samba: exec: PATH';
    case 'nfs4':
    case 'sunrpc':
      return 'did you mean kernel: nfs?';
    case 'vxlan':
    case 'geneve':
    case 'gre':
    case 'ipip':
    case 'sit':
      return 'what these tunnels send always passes: decide about what goes into them';
    case '*':
    case 'any':
    case 'all':
      return 'name each: wireguard, nfs, cifs, and other for what is none of these';
    default:
      return undefined;
  }
}

function cgroupHint(text: string): string | undefined {
  if (text === '') return undefined;
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  const isAll = names.length === 0 || names[0] === '*';
  return isAll ? ALL_CGROUPS_HINT : `write it from the root of the hierarchy: /${names.join('/')}`;
}

function unitHint(text: string): string | undefined {
  if (/[*?[\]]/.test(text)) return 'units are named one by one; a slice has all that is in it, as user.slice';
  return UNIT.test(text) && !text.includes('.') ? `did you mean ${text}.service?` : undefined;
}

/** Of an uplink a value, in a `via` a bound. */
function quantityHint(key: 'rtt' | 'loss' | 'bandwidth', value: number, isBound: boolean): string {
  const quantity = { rtt: `${value}ms`, loss: `${value}%`, bandwidth: `${value}mbit` }[key];
  if (!isBound) return `a number has a unit: ${key}: ${quantity}`;
  return `a bound has a sign and a unit: ${key}: "${key === 'bandwidth' ? '>=' : '<'}${quantity}"`;
}

function probeHint(value: unknown): string | undefined {
  const text = String(value).toLowerCase();
  if (['yes', 'on', 'true', 'default', 'auto'].includes(text)) return 'it is probed without this line: leave it out';
  if (['no', 'false', 'none', 'never'].includes(text)) return 'nobody is asked: probe: "off"';
  if (typeof value !== 'string') return undefined;
  if (/^https?:/i.test(value)) return `probe: { http: "${value.replace(/^https/i, 'http')}" }`;
  return /^[\d.]+$|:/.test(value) ? `probe: { icmp: "${value}" }` : undefined;
}

/** An address without its family. */
function gatewayHint(text: string): string | undefined {
  const family = parseAddress(text)?.family;
  return family === undefined ? undefined : `by its family: gateway: { v${family}: "${text}" }`;
}
