/**
 * Who leased addresses to this machine's devices: by the word of NetworkManager, the files of systemd-networkd, and those of
 * dhclient(8). Whoever keeps leases in another way has a client that asks by packet sockets, or all servers at once, in the end.
 */
import { join } from 'node:path';
import { type Address, formatAddress, parseAddress } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import type { DhcpServer } from '../policy/facts.ts';
import type { ManagedDevices } from './managed-devices.ts';
import { NETWORKD_DIRECTORY } from './network-domains.ts';
import { listNames, readText } from './read-text.ts';

const MAX_FILE_BYTES = 262_144;
/** Each device has a file of its own, and some names of connections. */
const MAX_FILES = 256;
/** More than one device has at a time. */
const MAX_SERVERS = 64;
/** dhclient.leases(5): leases are appended, the last one of a device holds. */
const LEASE = /^lease\s*\{([^}]*)\}/gm;
const LEASE_DEVICE = /^\s*interface\s+"([^"]*)";/m;
const LEASE_SERVER = /^\s*option\s+dhcp-server-identifier\s+([0-9.]+);/m;

export interface DhcpLeasesOptions {
  /** Absent: nobody asks NetworkManager. */
  readonly managed?: Pick<ManagedDevices, 'device'>;
  /** Absent: it numbers the links of another network namespace. */
  readonly networkdDirectory?: string;
  /** Absent: its files are about another network namespace. */
  readonly dhclientDirectory?: string;
}

export interface DhcpLeases {
  /** IPv4; each once, in the order of the links. Nothing of it throws but what is short (KernelError). */
  readonly servers: (links: readonly Link[]) => readonly DhcpServer[];
}

export function dhcpLeases({ managed, networkdDirectory, dhclientDirectory }: DhcpLeasesOptions): DhcpLeases {
  return {
    servers: (links) => {
      const byDhclient = dhclientDirectory === undefined ? NO_LEASES : dhclientServers(dhclientDirectory);
      const found = links.flatMap(({ name: device, index }): DhcpServer[] => {
        const addresses = [
          managed?.device(device)?.dhcpServer,
          networkdDirectory === undefined ? undefined : networkdServer(index, networkdDirectory),
          byDhclient.get(device),
        ];
        const known = new Map(
          addresses.flatMap((address) => (address === undefined ? [] : [[formatAddress(address), address]])),
        );
        return [...known.values()].map((address) => ({ device, address }));
      });
      return found.slice(0, MAX_SERVERS);
    },
  };
}

/** Where files about this network namespace are. `ours`: whether those of the system are. `root`: of a daemon that has its own. */
export const leaseDirectories = (
  ours: boolean,
  root: string,
): Pick<DhcpLeasesOptions, 'networkdDirectory' | 'dhclientDirectory'> => ({
  ...(ours && { networkdDirectory: NETWORKD_DIRECTORY }),
  ...((ours || root !== '/') && { dhclientDirectory: join(root, '/var/lib/dhcp') }),
});

const NO_LEASES: ReadonlyMap<string, Address> = new Map();

/** sd-dhcp-lease.c: what networkd writes of the lease that a link has. */
function networkdServer(linkIndex: number, directory: string): Address | undefined {
  const text = readText(join(directory, 'leases', `${linkIndex}`), MAX_FILE_BYTES);
  return serverIn(/^SERVER_ADDRESS=(.*)$/m.exec(text)?.[1]);
}

function dhclientServers(directory: string): ReadonlyMap<string, Address> {
  const servers = new Map<string, Address>();
  for (const name of leaseFiles(directory)) {
    for (const [, lease = ''] of readText(join(directory, name), MAX_FILE_BYTES).matchAll(LEASE)) {
      const [device, server] = [LEASE_DEVICE.exec(lease)?.[1], serverIn(LEASE_SERVER.exec(lease)?.[1])];
      if (device !== undefined && server !== undefined) servers.set(device, server);
    }
  }
  return servers;
}

function leaseFiles(directory: string): readonly string[] {
  const names = listNames(directory).filter((name) => name.endsWith('.leases'));
  return names.sort().slice(0, MAX_FILES);
}

function serverIn(text: string | undefined): Address | undefined {
  const address = text === undefined ? undefined : parseAddress(text.trim());
  return address?.family === 4 ? address : undefined;
}
