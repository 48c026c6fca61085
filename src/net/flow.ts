import { type Address, formatAddress } from './address.ts';
import { protocolName } from './protocol.ts';

/**
 * A flow as its first packet shows it.
 * `protocol` is the IANA protocol number. Ports are absent where the protocol has none.
 * `loopback` is true where the packet leaves by the loopback device, whatever its addresses are.
 */
export interface Flow {
  readonly protocol: number;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number; readonly identifier?: number };
  readonly loopback: boolean;
  /** Name of the device that its program chose (SO_BINDTODEVICE): by another one it does not leave. */
  readonly chosenDevice?: string;
  /** A TCP segment that does not open a connection: the connection was there before anybody looked. */
  readonly midstream?: true;
  /** It comes in: `source` is the peer, and `destinationPort` a port of this machine. */
  readonly inbound?: true;
  /** It passes through: a container of this machine sends it, and it is seen before it is known where it goes. */
  readonly forwarded?: true;
}

/** Equal for two flows exactly where all their fields are equal. Not for people; the form may change. */
export function flowKey(flow: Flow): string {
  const icmp = flow.icmp === undefined ? '' : `${flow.icmp.type}.${flow.icmp.code}.${flow.icmp.identifier ?? ''}`;
  const from = endpointKey(flow.source, flow.sourcePort);
  const to = endpointKey(flow.destination, flow.destinationPort);
  return `${flow.protocol}|${from}|${to}|${icmp}|${flow.loopback ? 'lo' : ''}${flow.midstream ? '~' : ''}${flow.inbound ? '<' : ''}${flow.forwarded ? '^' : ''}${flow.chosenDevice === undefined ? '' : `@${flow.chosenDevice}`}`;
}

function endpointKey(address: Address, port: number | undefined): string {
  return `${address.family}.${address.value.toString(16)}.${port ?? ''}`;
}

/** One line for people: `tcp 10.0.0.1:4000 -> 192.0.2.1:443`, `icmp 10.0.0.1 -> 192.0.2.1 type 8 code 0 id 7`. */
export function formatFlow(flow: Flow): string {
  const from = formatEndpoint(flow.source, flow.sourcePort);
  const to = formatEndpoint(flow.destination, flow.destinationPort);
  return `${protocolName(flow.protocol)} ${from} -> ${to}${formatIcmp(flow.icmp)}`;
}

function formatEndpoint(address: Address, port: number | undefined): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

function formatIcmp(icmp: Flow['icmp']): string {
  if (icmp === undefined) return '';
  const identifier = icmp.identifier === undefined ? '' : ` id ${icmp.identifier}`;
  return ` type ${icmp.type} code ${icmp.code}${identifier}`;
}
