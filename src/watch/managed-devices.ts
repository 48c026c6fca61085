/**
 * What NetworkManager and ModemManager say of network devices, by the system's bus: read whole at the start and after each of
 * their signals. Where there is no bus, or none of them, nothing is said; they are never started, and one that manages another
 * network namespace is not believed.
 */

import type { Message } from '../dbus/message.ts';
import type { Background } from '../kernel/background.ts';
import { type Address, formatAddress } from '../net/address.ts';
import type { AttachedNetwork } from '../policy/facts.ts';
import type { Telling } from '../policy/join-uplinks.ts';
import { BUS_NAME, BusConnection, BusError, systemBusPath } from './bus-connection.ts';
import { type ManagedObjects, managedObjects } from './managed-objects.ts';
import { MODEM_MANAGER, MODEM_MANAGER_INTERFACES, MODEM_MANAGER_OBJECTS, modems } from './modem-manager.ts';
import {
  NETWORK_MANAGER,
  NETWORK_MANAGER_INTERFACES,
  NETWORK_MANAGER_OBJECTS,
  networkManagerDevices,
} from './network-manager.ts';
import { isInOurNetwork } from './own-network.ts';
import type { OutsideTellings } from './uplink-evidence.ts';

/** What is of interest besides properties. */
export interface ManagedDevice extends Pick<AttachedNetwork, 'ssid' | 'domains'> {
  /** NetworkManager's name of the connection. */
  readonly connection?: string;
  /** Somebody set the device up to go out by it. */
  readonly isSetUp: boolean;
  /** `LTE`... */
  readonly technologies: readonly string[];
  readonly operator?: string;
  /** The DNS servers that belong to this device. */
  readonly dns: readonly Address[];
  /** Who leased it its IPv4 address. */
  readonly dhcpServer?: Address;
}

export interface ManagedDevicesOptions {
  readonly background: Background;
  /** After something that is said here has changed. */
  readonly onChange: () => void;
  readonly socketPath?: string;
  /** Whether a process is in our network namespace. */
  readonly isOurs?: (pid: number) => boolean;
}

/** So soon after a signal all is read again: one event brings a dozen of them. */
const SETTLE_MS = 100;
/** A bus that is not there, or went away, is looked for so often. */
const RETRY_MS = 15_000;

const SERVICES = [
  { name: NETWORK_MANAGER, path: NETWORK_MANAGER_OBJECTS, interfaces: NETWORK_MANAGER_INTERFACES },
  { name: MODEM_MANAGER, path: MODEM_MANAGER_OBJECTS, interfaces: MODEM_MANAGER_INTERFACES },
] as const;
const OBJECT_MANAGER = 'org.freedesktop.DBus.ObjectManager';
const PROPERTIES = 'org.freedesktop.DBus.Properties';
const NO_OBJECTS: ManagedObjects = new Map();

interface Said {
  readonly tellings: OutsideTellings;
  readonly devices: ReadonlyMap<string, ManagedDevice>;
}

const NOTHING: Said = { tellings: new Map(), devices: new Map() };

export class ManagedDevices implements Disposable {
  readonly #options: Required<ManagedDevicesOptions>;
  #said: Said = NOTHING;
  #bus: BusConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor({ background, onChange, socketPath = systemBusPath(), isOurs = isInOurNetwork }: ManagedDevicesOptions) {
    this.#options = { background, onChange, socketPath, isOurs };
  }

  /** The first look; resolves when it is over, whatever came of it, and keeps looking until it is disposed of. */
  async start(): Promise<void> {
    try {
      const { socketPath, background } = this.#options;
      const listener = { onSignal: (signal: Message) => this.#hear(signal), onClose: () => this.#lose() };
      const bus = await BusConnection.open(socketPath, listener, background);
      if (this.#isDisposed) return bus[Symbol.dispose]();
      this.#bus = bus;
      await this.#subscribe(bus);
      await this.#read(bus);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      this.#lose();
    }
  }

  tellings(): OutsideTellings {
    return this.#said.tellings;
  }

  device(name: string): ManagedDevice | undefined {
    return this.#said.devices.get(name);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#bus?.[Symbol.dispose]();
  }

  async #subscribe(bus: BusConnection): Promise<void> {
    for (const { name, path, interfaces } of SERVICES) {
      await bus.match({ type: 'signal', sender: BUS_NAME, member: 'NameOwnerChanged', arg0: name });
      await bus.match({ type: 'signal', sender: name, path, interface: OBJECT_MANAGER });
      for (const arg0 of interfaces) {
        await bus.match({ type: 'signal', sender: name, interface: PROPERTIES, member: 'PropertiesChanged', arg0 });
      }
    }
  }

  #hear({ member }: Message): void {
    // NameAcquired is the bus's greeting to ourselves.
    if (member !== 'NameAcquired') this.#later(SETTLE_MS);
  }

  #later(delayMs: number): void {
    if (this.#isDisposed || this.#timer !== undefined) return;
    this.#timer = this.#options.background
      .timeout(() => {
        this.#timer = undefined;
        return this.#again();
      }, delayMs)
      .unref();
  }

  async #again(): Promise<void> {
    const bus = this.#bus;
    if (bus === undefined) return this.start();
    try {
      await this.#read(bus);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      this.#lose();
    }
  }

  async #read(bus: BusConnection): Promise<void> {
    const [network, modem] = [await this.#objects(bus, SERVICES[0]), await this.#objects(bus, SERVICES[1])];
    this.#say(saidBy(network, modem));
  }

  async #objects(bus: BusConnection, { name, path }: (typeof SERVICES)[number]): Promise<ManagedObjects> {
    try {
      const [pid] = await bus.callBus('GetConnectionUnixProcessID', 's', [name]);
      if (typeof pid !== 'number' || !this.#options.isOurs(pid)) return NO_OBJECTS;
      const request = { destination: name, path, interface: OBJECT_MANAGER, member: 'GetManagedObjects' };
      return managedObjects(await bus.call(request));
    } catch (error) {
      // It does not run, or has ended just now: its coming back is told.
      if (error instanceof BusError) return NO_OBJECTS;
      throw error;
    }
  }

  #lose(): void {
    this.#bus?.[Symbol.dispose]();
    this.#bus = undefined;
    this.#say(NOTHING);
    this.#later(RETRY_MS);
  }

  #say(said: Said): void {
    if (this.#isDisposed || text(said) === text(this.#said)) return;
    this.#said = said;
    this.#options.onChange();
  }
}

function saidBy(network: ManagedObjects, modem: ManagedObjects): Said {
  const [byNetworkManager, byModemManager] = [networkManagerDevices(network), modems(modem)];
  const names = [...new Set([...byModemManager.keys(), ...byNetworkManager.keys()])].sort();
  const tellings: [string, readonly Telling[]][] = [];
  const devices: [string, ManagedDevice][] = [];
  for (const name of names) {
    const [managed, cellular] = [byNetworkManager.get(name), byModemManager.get(name)];
    tellings.push([name, [cellular, managed].flatMap((each) => each?.telling ?? [])]);
    const { connection, ssid, domains, dhcpServer } = managed ?? {};
    const { technologies = [], operator } = cellular ?? {};
    devices.push([
      name,
      {
        ...(connection !== undefined && { connection }),
        isSetUp: managed?.isSetUp === true,
        technologies,
        ...(operator !== undefined && { operator }),
        dns: managed?.dns ?? [],
        ...(dhcpServer !== undefined && { dhcpServer }),
        ...(ssid !== undefined && { ssid }),
        ...(domains !== undefined && { domains }),
      },
    ]);
  }
  return { tellings: new Map(tellings), devices: new Map(devices) };
}

function text({ tellings, devices }: Said): string {
  const shown = [...devices].map(([name, { dns, dhcpServer, ...rest }]) => [
    ...[name, rest, dns.map(formatAddress)],
    dhcpServer === undefined ? '' : formatAddress(dhcpServer),
  ]);
  return JSON.stringify([[...tellings], shown]);
}
