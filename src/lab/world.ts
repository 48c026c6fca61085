/**
 * The lab's small world as data: a device with three uplinks and a LAN, three routers, an internet.
 * Nothing is translated on the way, so that a server sees the very address of the uplink that was taken.
 *
 *   device  wifi0 -- wifi --.
 *           cell0 -- cell ---- net   (servers, DNS)
 *           vpn0  == vpn  --'        (a tunnel; its packets take wifi0 and the net to its server)
 *           lan0  -- lan             (a printer, on-link)
 *
 * Public addresses are documentation prefixes: RFC 5737, RFC 3849.
 */
export const NAMESPACE_PARTS = ['device', 'wifi', 'cell', 'vpn', 'lan', 'net'] as const;
export type NamespacePart = (typeof NAMESPACE_PARTS)[number];

const LAB_ID = /^[a-z0-9][a-z0-9-]{0,31}$/;

export function isLabId(id: string): boolean {
  return LAB_ID.test(id);
}

/** The name as `ip netns` shows it. */
export function namespaceName(id: string, part: NamespacePart): string {
  return `pml-${id}-${part}`;
}

/** One family's addresses of one link. `length` is the prefix length of both ends. */
export interface LinkAddresses {
  readonly near: string;
  readonly far: string;
  readonly network: string;
  readonly length: number;
}

export type LabUplinkName = 'wifi' | 'cellular' | 'vpn';

/** A way from the device to the internet. `near` is the device's end (`access`) or the router's (`transit`). */
export interface LabUplink {
  readonly name: LabUplinkName;
  readonly router: 'wifi' | 'cell' | 'vpn';
  readonly device: string;
  /** The uplink that a tunnel's own packets take. Absent: a link of its own. */
  readonly over?: LabUplinkName;
  /** Of the default route in main. Absent: there is none, as with tunnels that do not want to have everything. */
  readonly metric?: number;
  readonly access: { readonly v4: LinkAddresses; readonly v6: LinkAddresses };
  readonly transit: { readonly v4: LinkAddresses; readonly v6: LinkAddresses };
  readonly shape?: { readonly rateBitsPerSecond: number; readonly delayMs: number };
}

export const LAB_UPLINKS: readonly LabUplink[] = [
  {
    name: 'wifi',
    router: 'wifi',
    device: 'wifi0',
    metric: 100,
    access: {
      v4: { near: '192.168.10.2', far: '192.168.10.1', network: '192.168.10.0/24', length: 24 },
      v6: { near: '2001:db8:10::2', far: '2001:db8:10::1', network: '2001:db8:10::/64', length: 64 },
    },
    transit: {
      v4: { near: '198.51.100.2', far: '198.51.100.1', network: '198.51.100.0/30', length: 30 },
      v6: { near: '2001:db8:ffff:1::2', far: '2001:db8:ffff:1::1', network: '2001:db8:ffff:1::/64', length: 64 },
    },
  },
  {
    name: 'cellular',
    router: 'cell',
    device: 'cell0',
    metric: 700,
    access: {
      v4: { near: '10.20.30.2', far: '10.20.30.1', network: '10.20.30.0/24', length: 24 },
      v6: { near: '2001:db8:20::2', far: '2001:db8:20::1', network: '2001:db8:20::/64', length: 64 },
    },
    transit: {
      v4: { near: '198.51.100.6', far: '198.51.100.5', network: '198.51.100.4/30', length: 30 },
      v6: { near: '2001:db8:ffff:2::2', far: '2001:db8:ffff:2::1', network: '2001:db8:ffff:2::/64', length: 64 },
    },
    shape: { rateBitsPerSecond: 2_000_000, delayMs: 40 },
  },
  {
    name: 'vpn',
    router: 'vpn',
    device: 'vpn0',
    over: 'wifi',
    access: {
      v4: { near: '10.66.0.2', far: '10.66.0.1', network: '10.66.0.0/24', length: 24 },
      v6: { near: '2001:db8:66::2', far: '2001:db8:66::1', network: '2001:db8:66::/64', length: 64 },
    },
    transit: {
      v4: { near: '198.51.100.10', far: '198.51.100.9', network: '198.51.100.8/30', length: 30 },
      v6: { near: '2001:db8:ffff:3::2', far: '2001:db8:ffff:3::1', network: '2001:db8:ffff:3::/64', length: 64 },
    },
  },
];

/** Where the far end of the tunnel listens: UDP, on the router's address in the internet. */
export const VPN_SERVER: { readonly v4: string; readonly port: number } = { v4: '198.51.100.10', port: 51820 };

/** The router's end of an uplink's access link. */
export const ROUTER_INSIDE = 'inside';

export const LAB_LAN: { readonly device: string; readonly v4: LinkAddresses; readonly v6: LinkAddresses } = {
  device: 'lan0',
  v4: { near: '192.168.77.2', far: '192.168.77.10', network: '192.168.77.0/24', length: 24 },
  v6: { near: 'fd77::2', far: 'fd77::10', network: 'fd77::/64', length: 64 },
};

export interface LabHost {
  readonly name: string;
  readonly v4: string;
  readonly v6: string;
}

/** `demo` is a name that only the demo asks for, so that its query stands out in the servers' log. */
export const INTERNET_HOSTS: readonly LabHost[] = [
  { name: 'www.example.org', v4: '203.0.113.10', v6: '2001:db8:113::10' },
  { name: 'imap.example.org', v4: '203.0.113.20', v6: '2001:db8:113::20' },
  { name: 'updates.example.org', v4: '203.0.113.30', v6: '2001:db8:113::30' },
  { name: 'tracker.example.org', v4: '203.0.113.40', v6: '2001:db8:113::40' },
  { name: 'demo.example.org', v4: '203.0.113.50', v6: '2001:db8:113::50' },
  { name: 'ns.example.org', v4: '203.0.113.53', v6: '2001:db8:113::53' },
  { name: 'chat.example.org', v4: '203.0.113.60', v6: '2001:db8:113::60' },
];

export const LAN_HOSTS: readonly LabHost[] = [{ name: 'printer.example.org', v4: LAB_LAN.v4.far, v6: LAB_LAN.v6.far }];

export const DNS_HOST: LabHost = { name: 'ns.example.org', v4: '203.0.113.53', v6: '2001:db8:113::53' };
export const DNS_ZONE = 'example.org';
