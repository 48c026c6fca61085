/** Where the packets of tunnels go that carry those of others: by the sockets of who holds a tun device, or by WireGuard's word. */
import { readFileSync, readlinkSync } from 'node:fs';
import { isLoopbackAddress, unmapAddress } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { decodeFamilyAnswer, encodeFamilyGet } from '../netlink/generic.ts';
import {
  ALL_SOCKET_STATES,
  decodeSocket,
  encodeSocketDump,
  type InetSocket,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_SYN_SENT,
} from '../netlink/sock-diag.ts';
import { decodeWireGuard, encodeWireGuardDump, WIREGUARD_FAMILY, type WireGuardPart } from '../netlink/wireguard.ts';
import type { HolderSocket } from '../policy/facts.ts';
import { decodeReply } from './decode-reply.ts';
import type { OuterFlow, Tunnels } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { openProc, type Proc } from './proc.ts';

export interface TunnelSources {
  /** NETLINK_SOCK_DIAG and NETLINK_GENERIC, of the namespace that is meant. */
  readonly sockDiag: NetlinkSocket;
  readonly generic: NetlinkSocket;
  readonly proc?: Proc;
}

/** A process of whose descriptors more than these are open is not looked through further. */
const MAX_DESCRIPTORS = 4096;
/** Of a program with more, those beyond are told by who sends alone. */
export const MAX_HOLDER_SOCKETS = 256;
const IFF_LINE = /^iff:\s*(\S+)$/m;
const FAMILIES = [4, 6] as const;
const PROTOCOLS = [IPPROTO_UDP, IPPROTO_TCP] as const;
const CONNECTED = new Set([TCP_ESTABLISHED, TCP_SYN_SENT]);

export function openTunnels({ sockDiag, generic, proc = openProc() }: TunnelSources): Tunnels {
  const holders = new TunHolders(proc);
  return {
    ofTun: (device) => {
      const pids = holders.of(device);
      if (pids.length === 0) return undefined;
      const inodes = new Set(pids.flatMap((pid) => proc.socketInodes(pid) ?? []));
      return outerFlows(socketsOf(sockDiag, inodes));
    },
    useOfTun: (device) => {
      const pids = holders.of(device);
      if (pids.length === 0) return undefined;
      const inodes = new Set(pids.flatMap((pid) => proc.socketInodes(pid) ?? []));
      return { pids: [...pids].sort((a, b) => a - b), sockets: holderSockets(socketsOf(sockDiag, inodes)) };
    },
    ofWireGuard: (deviceIndex) => wireGuardFlows(wireGuardParts(generic, deviceIndex)),
    portOfWireGuard: (deviceIndex) =>
      wireGuardParts(generic, deviceIndex)?.find(({ port }) => port !== undefined)?.port,
  };
}

/** Whoever has a descriptor of the device. Found by looking through all processes, and again when none of them has it any more. */
class TunHolders {
  readonly #proc: Proc;
  readonly #known = new Map<string, readonly { readonly pid: number; readonly descriptor: number }[]>();

  constructor(proc: Proc) {
    this.#proc = proc;
  }

  of(device: string): readonly number[] {
    const known = (this.#known.get(device) ?? []).filter(({ pid, descriptor }) => tunOf(pid, descriptor) === device);
    const found = known.length > 0 ? known : this.#search(device);
    if (found.length === 0) this.#known.delete(device);
    else this.#known.set(device, found);
    return [...new Set(found.map(({ pid }) => pid))];
  }

  #search(device: string): readonly { readonly pid: number; readonly descriptor: number }[] {
    // Devices of other namespaces have names of their own.
    const own = namespaceOf('thread-self');
    return this.#proc
      .pids()
      .flatMap((pid) =>
        (this.#proc.descriptors(pid, MAX_DESCRIPTORS) ?? [])
          .filter((descriptor) => tunOf(pid, descriptor) === device && namespaceOf(pid) === own)
          .map((descriptor) => ({ pid, descriptor })),
      );
  }
}

function namespaceOf(process: number | 'thread-self'): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/net`);
  } catch {
    return undefined;
  }
}

/** tun_chr_show_fdinfo in drivers/net/tun.c. */
function tunOf(pid: number, descriptor: number): string | undefined {
  try {
    return IFF_LINE.exec(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'latin1'))?.[1];
  } catch {
    // Closed, or ended.
    return undefined;
  }
}

function socketsOf(sockDiag: NetlinkSocket, inodes: ReadonlySet<number>): InetSocket[] {
  const subject = { operation: 'list', object: 'sockets of a tunnel' };
  return FAMILIES.flatMap((family) =>
    PROTOCOLS.flatMap((protocol) => {
      const messages = sockDiag.dump(encodeSocketDump({ family, protocol, states: ALL_SOCKET_STATES }), subject);
      return decodeReply(subject, () => messages.map(decodeSocket))
        .filter(({ inode }) => inodes.has(inode))
        .map((socket) => ({ ...socket, protocol }));
    }),
  );
}

/** Those that send to others; of more than there is room for, the first. */
function holderSockets(sockets: readonly InetSocket[]): readonly HolderSocket[] {
  return sockets
    .filter(
      ({ state, local, localPort }) =>
        state !== TCP_LISTEN && localPort !== 0 && !isLoopbackAddress(unmapAddress(local)),
    )
    .slice(0, MAX_HOLDER_SOCKETS)
    .map(({ protocol, state, localPort: port, remote: to }): HolderSocket => {
      const remote = unmapAddress(to);
      const isConnected = CONNECTED.has(state) && remote.value !== 0n;
      return { protocol: protocol ?? IPPROTO_UDP, port, ...(isConnected && { remote }) };
    });
}

/** Undefined where one of them may send anywhere, so that nobody can tell, and where none sends at all. */
function outerFlows(sockets: readonly InetSocket[]): readonly OuterFlow[] | undefined {
  const flows: OuterFlow[] = [];
  for (const socket of sockets) {
    const [local, remote] = [unmapAddress(socket.local), unmapAddress(socket.remote)];
    if (socket.state === TCP_LISTEN || isLoopbackAddress(local)) continue;
    const mark = socket.mark ?? 0;
    if (socket.interfaceIndex !== 0) flows.push({ deviceIndex: socket.interfaceIndex, mark });
    else if (CONNECTED.has(socket.state) && remote.value !== 0n) flows.push({ remote, mark });
    else if (socket.protocol !== IPPROTO_TCP) return undefined;
  }
  return flows.length === 0 ? undefined : flows;
}

/** Undefined where it is gone meanwhile, or not for us to see. */
function wireGuardParts(generic: NetlinkSocket, deviceIndex: number): readonly WireGuardPart[] | undefined {
  const subject = { operation: 'list', object: 'peers of WireGuard' };
  try {
    const [answer] = generic.request(encodeFamilyGet(WIREGUARD_FAMILY), subject);
    if (answer === undefined) return undefined;
    const { id } = decodeReply(subject, () => decodeFamilyAnswer(answer));
    const messages = generic.dump(encodeWireGuardDump(id, deviceIndex), subject);
    return decodeReply(subject, () => messages.map((message) => decodeWireGuard(message, id)));
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function wireGuardFlows(parts: readonly WireGuardPart[] = []): readonly OuterFlow[] | undefined {
  const mark = parts.find((part) => part.mark !== 0)?.mark ?? 0;
  const flows = parts.flatMap(({ endpoints }) => endpoints.map((remote) => ({ remote, mark })));
  return flows.length === 0 ? undefined : flows;
}
