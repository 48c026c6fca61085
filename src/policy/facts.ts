/** What the world outside the files looks like at one moment, as far as a decision depends on it. */
import { type Address, equalAddress, type Prefix } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { InsideAddress } from './inside-address.ts';

/**
 * What probing and live connections say of one family of an uplink. `failed`: nothing is chosen that way while anything else
 * will do. `lossRatio`: 0 to 1.
 */
export interface FamilyHealth {
  readonly state: 'unknown' | 'good' | 'failed';
  readonly rttMs?: number;
  readonly lossRatio?: number;
  /** Somebody beyond the gateway has answered: more than that the link works. */
  readonly validated?: true;
  /** Somebody wants to be paid, or agreed with, before anything passes. */
  readonly captivePortal?: true;
}

/** Which network an uplink is in. What nobody asks for, and what is not known, is absent; lists are sorted and not empty. */
export interface AttachedNetwork {
  /** U+FFFD stands for bytes that are not UTF-8. */
  readonly ssid?: string;
  /** As in profiles: `00:00:5e:00:53:01`. */
  readonly gatewayMacs?: readonly string[];
  /** Search domains, and those that DHCP gave: as in profiles. */
  readonly domains?: readonly string[];
}

/** The first that is missing. */
export type DownCause = 'device down' | 'no carrier' | 'no address' | 'no default route';

/** One configured uplink's state in the kernel. */
export interface UplinkState {
  readonly name: string;
  /** 1..125, kept for as long as the uplink's name is known (the uplink bits of a mark). */
  readonly id: number;
  readonly device: string;
  /** Kernel index of the device; absent where the device does not exist. */
  readonly deviceIndex?: number;
  /** Device exists, is up with carrier, and has an address; per family whether it can carry it. */
  readonly up: boolean;
  /** Where it is not up, although its device is there. */
  readonly downBecause?: DownCause;
  readonly v4: boolean;
  readonly v6: boolean;
  /** Those that something new can have for its source. */
  readonly addresses: readonly Address[];
  /** Those that only what began with them goes on using (RFC 4862 section 5.5.4). Absent: none. */
  readonly deprecated?: readonly Address[];
  /** Those of both that a VPN has, too, which is believed before whoever gave them to this one. Absent: none. */
  readonly ofVpn?: readonly Address[];
  readonly onLink: readonly Prefix[];
  readonly gateways: { readonly v4?: Address; readonly v6?: Address };
  /** Absent: nobody looks. */
  readonly health?: { readonly v4?: FamilyHealth; readonly v6?: FamilyHealth };
  /** Absent: no profile asks, or nothing is known. */
  readonly network?: AttachedNetwork;
}

/** All that belong to it: by whichever of them something came in or began, it goes back by this uplink. */
export const heldAddresses = ({ addresses, deprecated = [], ofVpn = [] }: UplinkState): readonly Address[] =>
  [...addresses, ...deprecated].filter((address) => !ofVpn.some((one) => equalAddress(one, address)));

/** `expiresAtMs` of an address that is kept until a better answer comes: what is denied by name stays denied without DNS. */
export const NEVER: MonotonicMs = Number.MAX_SAFE_INTEGER;

/** A name's addresses, or that they are not known (yet). */
export type NameState =
  | {
      readonly known: true;
      readonly addresses: readonly { readonly address: Address; readonly expiresAtMs: MonotonicMs }[];
    }
  | { readonly known: false };

/** Absolute paths, without links on the way, sorted. */
export interface PackagePrograms {
  readonly executables: readonly string[];
  /** Files that start with `#!`. */
  readonly scripts: readonly string[];
}

/** A device by which containers with a network namespace of their own send: this machine's end of it. */
export interface ForwardedDevice {
  readonly device: string;
  /** Another device may have the same name later. */
  readonly deviceIndex: number;
  /** Of the containers in that namespace that policies name: paths below the cgroup2 root, sorted, at least one. */
  readonly cgroups: readonly string[];
}

/** A process that has a descriptor of a tun or tap device. */
export interface TunnelHolder {
  readonly pid: number;
  readonly executable?: string;
  /** All that it may make sockets as: those of proc(5)'s `Uid`, each once. The first is the effective one. */
  readonly uids: readonly number[];
  /** Path below the cgroup2 root, its id and level; absent where it is in none but the root. */
  readonly cgroup?: { readonly path: string; readonly id: bigint; readonly level: number };
}

/** By which a holder sends. `remote`: whom it is connected to, and nobody else. */
export interface HolderSocket {
  readonly protocol: number;
  readonly port: number;
  readonly remote?: Address;
}

/** A tun or tap device whose packets programs carry on. */
export interface HeldTunnel {
  readonly device: string;
  /** Devices whose packets go into it, itself among them; sorted. */
  readonly carries: readonly string[];
  /** Sorted by pid, not empty. */
  readonly holders: readonly TunnelHolder[];
  /** In no order that says anything; at most `MAX_HOLDER_SOCKETS`. */
  readonly sockets: readonly HolderSocket[];
}

/** Who leased an address to a network device, as its DHCP client tells it. */
export interface DhcpServer {
  readonly device: string;
  readonly address: Address;
}

/** By `keptKey`: names of the uplinks that a sticky `via` has come to. */
export type KeptChoices = ReadonlyMap<string, readonly string[]>;

export interface Facts {
  readonly uplinks: readonly UplinkState[];
  /** Directly connected networks of all devices: no uplink is involved in reaching them. */
  readonly onLink: readonly Prefix[];
  /** Those of `onLink` that only an uplink's own word makes so, and that are no destination for who has something to protect. Absent: none. */
  readonly doubted?: readonly Prefix[];
  /** Those of `onLink` of which an uplink's own word is too much to believe: `on-link` does not speak of them where it allows. Absent: none. */
  readonly overstated?: readonly Prefix[];
  /** Configured DNS servers (resolv.conf(5)), without those on loopback. */
  readonly resolvers: readonly Address[];
  /** Those on loopback: stubs, such as systemd-resolved's. Absent: none. */
  readonly loopbackResolvers?: readonly Address[];
  /** Sorted by address; absent: none. The same object as long as it says the same. */
  readonly inside?: readonly InsideAddress[];
  /** A name that is absent is not known. */
  readonly names: ReadonlyMap<string, NameState>;
  /** User names of policies -> uid. */
  readonly users: ReadonlyMap<string, number>;
  /** Group names of policies -> gid. */
  readonly groups: ReadonlyMap<string, number>;
  /** Packages that policies name and that are installed. */
  readonly packages: ReadonlyMap<string, PackagePrograms>;
  /** Ids of containers (64 hexadecimal digits) -> their names. */
  readonly containers: ReadonlyMap<string, readonly string[]>;
  /** Sorted by device index; absent: none. */
  readonly forwarded?: readonly ForwardedDevice[];
  /** Other ends of tunnels that the kernel carries, each once. Absent: none is known. */
  readonly tunnelEnds?: readonly Address[];
  /** Sorted by device. Absent: none is held, or nobody looks. */
  readonly heldTunnels?: readonly HeldTunnel[];
  /** By which WireGuard devices send, sorted. Absent: there is none. */
  readonly wireGuardPorts?: readonly number[];
  /** A program is installed that serves network namespaces by sockets of its own. */
  readonly userModeNetworks?: true;
  /** IPv4. Absent: none is known. */
  readonly dhcpServers?: readonly DhcpServer[];
  /** Absent: nothing is remembered, and the best are taken. */
  readonly kept?: KeptChoices;
}
