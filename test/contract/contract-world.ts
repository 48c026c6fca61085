import type { Kernel, OutgoingFlow } from '../../src/kernel/kernel.ts';
import type { Address } from '../../src/net/address.ts';
import type { NeighbourKey } from '../../src/netlink/neighbour.ts';

/** A kernel with one device that is up, IPv4 192.0.2.2/24 and IPv6 2001:db8::2/64 on it, and a foreign route and rule. */
export interface ContractWorld {
  readonly kernel: Kernel;
  readonly deviceName: string;
  readonly deviceIndex: number;
  readonly v4: Address;
  readonly v6: Address;
  /** Sends one packet to the device's network, whose conntrack entry gets this mark. */
  sendMarked(mark: number): Promise<void>;
  /** A process in another network namespace, and the device here whose other end is there. */
  addNeighbour(): Promise<{ readonly pid: number; readonly deviceName: string }>;
  /** Another machine by a device of its own: who it is asked for, and what it answers. */
  addGateway(): Promise<{ readonly key: NeighbourKey; readonly hardwareAddress: string }>;
  /** A program's socket, connected to somebody on loopback, or not connected but used to send there. */
  openSocket(kind: ProgramSocketKind): Promise<ProgramSocket>;
  close(): Promise<void>;
}

/** `mapped tcp`: IPv4 by an AF_INET6 socket. */
export type ProgramSocketKind = 'tcp4' | 'tcp6' | 'udp4' | 'udp6' | 'mapped tcp' | 'udp4 unconnected';

export interface ProgramSocket {
  readonly flow: OutgoingFlow;
  /** Whether the program has found that it was aborted. */
  isAborted(): Promise<boolean>;
}

export type OpenWorld = () => Promise<ContractWorld>;
