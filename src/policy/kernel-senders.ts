/** What the kernel itself sends by sockets that no process has: who of it is told by, and the words that policies have for them. Pure. */
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from './facts.ts';

/** `other`: whatever has none of these names, never all of them. */
export const KERNEL_SENDERS = ['wireguard', 'nfs', 'cifs', 'other'] as const;
export type KernelSender = (typeof KERNEL_SENDERS)[number];

export const NFS_PORT = 2049;
/** net/sunrpc/xprtsock.c: RPC_DEF_MIN_RESVPORT to RPC_DEF_MAX_RESVPORT. Mount, lock and status requests have other ports than NFS itself. */
export const RPC_SOURCE_PORTS: { readonly first: number; readonly last: number } = { first: 665, last: 1023 };
/** fs/smb/client: CIFS_PORT, RFC1001_PORT. */
const CIFS_PORTS: readonly number[] = [445, 139];

/** Of a flow that goes out, and that no process sends. */
export function kernelSender({ wireGuardPorts = [] }: Pick<Facts, 'wireGuardPorts'>, flow: Flow): KernelSender {
  const { protocol, sourcePort, destinationPort } = flow;
  const isTcp = protocol === IPPROTO_TCP;
  if (sourcePort === undefined || destinationPort === undefined || !(isTcp || protocol === IPPROTO_UDP)) return 'other';
  if (!isTcp && wireGuardPorts.includes(sourcePort)) return 'wireguard';
  if (isTcp && CIFS_PORTS.includes(destinationPort)) return 'cifs';
  const isReserved = sourcePort >= RPC_SOURCE_PORTS.first && sourcePort <= RPC_SOURCE_PORTS.last;
  return destinationPort === NFS_PORT || isReserved ? 'nfs' : 'other';
}
