/**
 * Ends a socket of another program (linux/sock_diag.h SOCK_DESTROY, since Linux 4.5 with CONFIG_INET_DIAG_DESTROY): a TCP peer gets
 * a reset, and the program ECONNABORTED from whatever it does or waits for. The request is that of `sock-diag.ts`; nothing but the
 * acknowledgement comes back.
 */
import { encodeFamily } from './address-family.ts';
import { concatBytes, u16Be, u32, u64 } from './bytes.ts';
import type { NetlinkRequest } from './message.ts';
import { paddedAddress, type SocketLookup } from './sock-diag.ts';
import { NLM_F_ACK, NLM_F_REQUEST } from './uapi.ts';

export const SOCK_DESTROY = 21;

/** `cookie`: of `decodeSocket`. Without it the kernel would take a listener on the same port for want of a connection. */
export interface SocketToDestroy extends SocketLookup {
  readonly cookie: bigint;
}

/**
 * ENOENT where no socket with this cookie is found by these ends, EOPNOTSUPP where the kernel destroys none of this protocol,
 * EINVAL where it has never heard of that. Unlike a lookup, also UDP takes the local end as the source (udp_diag_destroy in
 * net/ipv4/udp_diag.c). Both addresses must be of one family.
 */
export function encodeSocketDestroy({ protocol, cookie, ...ends }: SocketToDestroy): NetlinkRequest {
  const { local, localPort, remote, remotePort, interfaceIndex = 0 } = ends;
  if (local.family !== remote.family) throw new RangeError('addresses of two families');
  const body = concatBytes([
    new Uint8Array([encodeFamily(local.family), protocol, 0, 0]),
    // `idiag_states`: of a dump.
    u32(0),
    u16Be(localPort),
    u16Be(remotePort),
    paddedAddress(local),
    paddedAddress(remote),
    u32(interfaceIndex),
    u64(cookie),
  ]);
  return { type: SOCK_DESTROY, flags: NLM_F_REQUEST | NLM_F_ACK, body };
}
