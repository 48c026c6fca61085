/** `--from` and `--port` of `explain`: who would connect to a program, and to which of its ports. */
import { formatAddress, parseAddress, unmapAddress } from '../net/address.ts';
import { parsePortRange } from '../net/port.ts';

export interface ConnectPeer {
  /** An address without brackets. */
  readonly from: string;
  readonly fromPort?: number;
}

export interface OwnPort {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

const PEER = /^(?:\[([^\]]*)\]|([^[\]:]*))(?::(.*))?$/;

/** `ADDRESS` or `ADDRESS:PORT`; an IPv6 address with a port in brackets. */
export function parseConnectPeer(text: string): Parsed<ConnectPeer> {
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const protocol = text.slice(slash + 1).toLowerCase();
    if (protocol !== 'tcp' && protocol !== 'udp') return mistake(`"${text}" is not one address: who connects?`);
    return mistake(
      `the protocol goes with the port of this machine: --from ${text.slice(0, slash)} --port 22/${protocol}`,
    );
  }
  // A whole IPv6 address ends in something that looks like a port.
  const isWhole = parseAddress(text) !== undefined;
  const [, bracketed, plain, portText] = (isWhole ? undefined : PEER.exec(text)) ?? [text, undefined, text];
  const host = bracketed ?? plain ?? '';
  const address = parseAddress(host);
  if (host === '') return mistake('who connects? ADDRESS or ADDRESS:PORT');
  if (bracketed !== undefined && address?.family !== 6) return mistake(`"${host}" is not an IPv6 address`);
  if (address === undefined)
    return mistake(`"${host}" is not an address: a connection comes from one, not from a name`);
  const from = formatAddress(unmapAddress(address));
  if (portText === undefined) return { ok: true, value: { from } };
  const fromPort = parsePort(portText);
  if (fromPort === undefined) return notAPort(portText);
  return { ok: true, value: { from, fromPort } };
}

/** `PORT` (TCP) or `PORT/udp`. */
export function parseOwnPort(text: string): Parsed<OwnPort> {
  const [portText = '', protocol = 'tcp', ...rest] = text.toLowerCase().split('/');
  const port = parsePort(portText);
  if (port === undefined) return notAPort(portText);
  if ((protocol !== 'tcp' && protocol !== 'udp') || rest.length > 0) {
    return mistake(`the protocol is tcp or udp, not "${[protocol, ...rest].join('/')}"`);
  }
  return { ok: true, value: { port, protocol } };
}

function parsePort(text: string): number | undefined {
  const range = text === '*' ? undefined : parsePortRange(text);
  return range === undefined || range.first !== range.last || range.first === 0 ? undefined : range.first;
}

function notAPort(text: string): Parsed<never> {
  return mistake(`"${text}" is not a port: 1 to 65535`);
}

function mistake(message: string): Parsed<never> {
  return { ok: false, message };
}
