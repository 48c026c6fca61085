import { equalAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from './facts.ts';

const IPPROTO_IPIP = 4;
const IPPROTO_IPV6 = 41;
const IPPROTO_GRE = 47;
/** By which the kernel's own tunnels send. */
export const TUNNEL_PROTOCOLS: readonly number[] = [IPPROTO_IPIP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_GRE];

/** Whether what no process sent is what one of this machine's tunnels carries, as far as its other end is known. */
export function isTunnelPacket({ tunnelEnds = [] }: Pick<Facts, 'tunnelEnds'>, flow: Flow): boolean {
  const { protocol, destination, inbound } = flow;
  if (inbound || !TUNNEL_PROTOCOLS.includes(protocol)) return false;
  return tunnelEnds.some((end) => equalAddress(end, destination));
}
