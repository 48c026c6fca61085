/** What NetworkManager says of devices: libnm-core-public/nm-dbus-interface.h, and its D-Bus reference. Pure. */
import type { Value } from '../dbus/decode-value.ts';
import { type Address, addressFromBytes, parseAddress } from '../net/address.ts';
import { decodeUtf8 } from '../netlink/text.ts';
import type { AttachedNetwork } from '../policy/facts.ts';
import type { Telling } from '../policy/join-uplinks.ts';
import type { UplinkType } from '../policy/model.ts';
import { domainsOf, MAX_SSID_BYTES } from '../policy/network-identity.ts';
import { listIn, type ManagedObjects, numberIn, type Properties, textIn } from './managed-objects.ts';

export const NETWORK_MANAGER = 'org.freedesktop.NetworkManager';
export const NETWORK_MANAGER_OBJECTS = '/org/freedesktop';
const DEVICE = `${NETWORK_MANAGER}.Device`;
const ACTIVE = `${NETWORK_MANAGER}.Connection.Active`;
const WIRELESS = `${DEVICE}.Wireless`;
const ACCESS_POINT = `${NETWORK_MANAGER}.AccessPoint`;
const IP4 = `${NETWORK_MANAGER}.IP4Config`;
const IP6 = `${NETWORK_MANAGER}.IP6Config`;
const DHCP4 = `${NETWORK_MANAGER}.DHCP4Config`;
/** Interfaces whose properties are read here: changes of others are no news, or (of wireless devices) come with one of these. */
export const NETWORK_MANAGER_INTERFACES: readonly string[] = [DEVICE, ACTIVE, IP4, IP6, DHCP4];

/** NM_METERED_*. */
const METERED: Readonly<Record<number, { readonly metered: boolean; readonly guess: boolean }>> = {
  1: { metered: true, guess: false },
  2: { metered: false, guess: false },
  3: { metered: true, guess: true },
  4: { metered: false, guess: true },
};
/** NM_DEVICE_TYPE_*, of those that it knows better than the kernel. */
const TYPES: Readonly<Record<number, UplinkType>> = { 2: 'wifi', 5: 'bluetooth', 8: 'cellular' };
/** It shows what others did to a device as a connection, too. */
const NM_ACTIVATION_STATE_FLAG_EXTERNAL = 0x80;
const MAX_DNS_SERVERS = 8;
/** Of an IP configuration's `Domains` and `Searches`. */
const DOMAIN_LISTS = ['Domains', 'Searches'];

export interface NetworkManagerDevice extends Pick<AttachedNetwork, 'ssid' | 'domains'> {
  readonly telling: Telling;
  /** The name that a person gave the connection. */
  readonly connection?: string;
  /** Somebody set that connection up: it is more than what NetworkManager found on the device. */
  readonly isSetUp: boolean;
  readonly dns: readonly Address[];
  /** Who leased it its IPv4 address. */
  readonly dhcpServer?: Address;
}

/** By the name of the network device; devices that it only knows of and does not use are left out. */
export function networkManagerDevices(objects: ManagedObjects): ReadonlyMap<string, NetworkManagerDevice> {
  const devices = new Map<string, NetworkManagerDevice>();
  const vpnAddresses = addressesOfVpns(objects);
  for (const interfaces of objects.values()) {
    const device = interfaces.get(DEVICE);
    // A modem's `Interface` is the port that it is controlled by.
    const name = textIn(device, 'IpInterface') ?? textIn(device, 'Interface');
    if (device !== undefined && name !== undefined)
      devices.set(name, deviceOf(interfaces, device, { objects, vpnAddresses }));
  }
  return devices;
}

function deviceOf(
  interfaces: ReadonlyMap<string, Properties>,
  device: Properties,
  { objects, vpnAddresses }: { readonly objects: ManagedObjects; readonly vpnAddresses: ReadonlySet<string> },
): NetworkManagerDevice {
  const at = (property: string, of: string): Properties | undefined =>
    objects.get(textIn(device, property) ?? '')?.get(of);
  const active = at('ActiveConnection', ACTIVE);
  const connection = textIn(active, 'Id');
  const isExternal = ((numberIn(active, 'StateFlags') ?? 0) & NM_ACTIVATION_STATE_FLAG_EXTERNAL) !== 0;
  const [ip4, ip6] = [at('Ip4Config', IP4), at('Ip6Config', IP6)];
  const ssid = ssidOf(objects.get(textIn(interfaces.get(WIRELESS), 'ActiveAccessPoint') ?? '')?.get(ACCESS_POINT));
  const domains = domainsOf([ip4, ip6].flatMap(domainTexts));
  const dhcpServer = serverOf(at('Dhcp4Config', DHCP4));
  const isVpn = [ip4, ip6].flatMap(addressTexts).some((address) => vpnAddresses.has(address));
  const type = isVpn ? 'vpn' : TYPES[numberIn(device, 'DeviceType') ?? 0];
  const metered = METERED[numberIn(device, 'Metered') ?? 0];
  const told = { ...(type !== undefined && { type }), ...(metered !== undefined && { metered: metered.metered }) };
  return {
    telling: { by: 'NetworkManager', told, guesses: metered?.guess ? ['metered'] : [] },
    ...(connection !== undefined && { connection }),
    isSetUp: active !== undefined && !isExternal,
    dns: [...dns4(ip4), ...dns6(ip6)].slice(0, MAX_DNS_SERVERS),
    ...(dhcpServer !== undefined && { dhcpServer }),
    ...(ssid !== undefined && { ssid }),
    ...(domains.length > 0 && { domains }),
  };
}

/**
 * A VPN's connection is not that of its tunnel's device, which NetworkManager shows as made by somebody else: they have the same
 * addresses.
 */
function addressesOfVpns(objects: ManagedObjects): ReadonlySet<string> {
  const vpns = [...objects.values()].flatMap((interfaces) => {
    const active = interfaces.get(ACTIVE);
    return active?.get('Vpn') === true ? [active] : [];
  });
  const configs = vpns.flatMap((vpn) => [
    objects.get(textIn(vpn, 'Ip4Config') ?? '')?.get(IP4),
    objects.get(textIn(vpn, 'Ip6Config') ?? '')?.get(IP6),
  ]);
  return new Set(configs.flatMap(addressTexts));
}

/** `AddressData`: aa{sv} with the key `address`. */
const addressTexts = (config: Properties | undefined): string[] =>
  listIn(config, 'AddressData').flatMap((entry) => (entry instanceof Map ? (textIn(entry, 'address') ?? []) : []));

/** `Ssid`: ay. */
function ssidOf(accessPoint: Properties | undefined): string | undefined {
  const bytes = accessPoint?.get('Ssid');
  return bytes instanceof Uint8Array && bytes.length > 0 && bytes.length <= MAX_SSID_BYTES
    ? decodeUtf8(bytes)
    : undefined;
}

/** `Options`: a{sv}. */
function serverOf(config: Properties | undefined): Address | undefined {
  const options = config?.get('Options');
  const text = options instanceof Map ? textIn(options, 'dhcp_server_identifier') : undefined;
  return text === undefined ? undefined : parseAddress(text);
}

const domainTexts = (config: Properties | undefined): string[] =>
  DOMAIN_LISTS.flatMap((name) => listIn(config, name).filter((value) => typeof value === 'string'));

/** `NameserverData`: aa{sv} with the key `address`. */
function dns4(config: Properties | undefined): Address[] {
  return listIn(config, 'NameserverData').flatMap((entry) => {
    const text = entry instanceof Map ? textIn(entry, 'address') : undefined;
    return text === undefined ? [] : (parseAddress(text) ?? []);
  });
}

/** `Nameservers`: aay. */
function dns6(config: Properties | undefined): Address[] {
  const isAddress = (bytes: Value): bytes is Uint8Array => bytes instanceof Uint8Array && bytes.length === 16;
  return listIn(config, 'Nameservers').filter(isAddress).map(addressFromBytes);
}
