/** What NetworkManager says of devices: libnm-core-public/nm-dbus-interface.h, and its D-Bus reference. Pure. */
import type { Value } from '../dbus/decode-value.ts';
import { type Address, addressFromBytes, parseAddress } from '../net/address.ts';
import type { Telling } from '../policy/join-uplinks.ts';
import type { UplinkType } from '../policy/model.ts';
import { listIn, type ManagedObjects, numberIn, type Properties, textIn } from './managed-objects.ts';

export const NETWORK_MANAGER = 'org.freedesktop.NetworkManager';
export const NETWORK_MANAGER_OBJECTS = '/org/freedesktop';
const DEVICE = `${NETWORK_MANAGER}.Device`;
const ACTIVE = `${NETWORK_MANAGER}.Connection.Active`;
const IP4 = `${NETWORK_MANAGER}.IP4Config`;
const IP6 = `${NETWORK_MANAGER}.IP6Config`;
/** Interfaces whose properties are read here: changes of others are no news. */
export const NETWORK_MANAGER_INTERFACES: readonly string[] = [DEVICE, ACTIVE, IP4, IP6];

/** NM_METERED_*. */
const METERED: Readonly<Record<number, { readonly metered: boolean; readonly guess: boolean }>> = {
  1: { metered: true, guess: false },
  2: { metered: false, guess: false },
  3: { metered: true, guess: true },
  4: { metered: false, guess: true },
};
/** NM_DEVICE_TYPE_*, of those that it knows better than the kernel. */
const TYPES: Readonly<Record<number, UplinkType>> = { 2: 'wifi', 5: 'bluetooth', 8: 'cellular' };
const MAX_DNS_SERVERS = 8;

export interface NetworkManagerDevice {
  readonly telling: Telling;
  /** The name that a person gave the connection. */
  readonly connection?: string;
  readonly dns: readonly Address[];
}

/** By the name of the network device; devices that it only knows of and does not use are left out. */
export function networkManagerDevices(objects: ManagedObjects): ReadonlyMap<string, NetworkManagerDevice> {
  const devices = new Map<string, NetworkManagerDevice>();
  for (const interfaces of objects.values()) {
    const device = interfaces.get(DEVICE);
    // A modem's `Interface` is the port that it is controlled by.
    const name = textIn(device, 'IpInterface') ?? textIn(device, 'Interface');
    if (device !== undefined && name !== undefined) devices.set(name, deviceOf(device, objects));
  }
  return devices;
}

function deviceOf(device: Properties, objects: ManagedObjects): NetworkManagerDevice {
  const at = (property: string, of: string): Properties | undefined =>
    objects.get(textIn(device, property) ?? '')?.get(of);
  const connection = textIn(at('ActiveConnection', ACTIVE), 'Id');
  const type = TYPES[numberIn(device, 'DeviceType') ?? 0];
  const metered = METERED[numberIn(device, 'Metered') ?? 0];
  const told = { ...(type !== undefined && { type }), ...(metered !== undefined && { metered: metered.metered }) };
  return {
    telling: { by: 'NetworkManager', told, guesses: metered?.guess ? ['metered'] : [] },
    ...(connection !== undefined && { connection }),
    dns: [...dns4(at('Ip4Config', IP4)), ...dns6(at('Ip6Config', IP6))].slice(0, MAX_DNS_SERVERS),
  };
}

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
