import type { Address } from './address.ts';

/**
 * A flow as its first outgoing packet shows it.
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
}
