/** What ModemManager says of modems' network devices: ModemManager-enums.h, and its D-Bus reference. Pure. */
import type { Telling } from '../policy/join-uplinks.ts';
import { listIn, type ManagedObjects, numberIn, textIn } from './managed-objects.ts';

export const MODEM_MANAGER = 'org.freedesktop.ModemManager1';
export const MODEM_MANAGER_OBJECTS = '/org/freedesktop/ModemManager1';
const MODEM = `${MODEM_MANAGER}.Modem`;
const MODEM_3GPP = `${MODEM_MANAGER}.Modem.Modem3gpp`;
export const MODEM_MANAGER_INTERFACES: readonly string[] = [MODEM, MODEM_3GPP];

const MM_MODEM_PORT_TYPE_NET = 2;
/** MM_MODEM_3GPP_REGISTRATION_STATE_*: at home (also for messages or calls alone), and as a guest. */
const HOME: readonly number[] = [1, 6, 9];
const ROAMING: readonly number[] = [5, 7, 10];
/** MM_MODEM_ACCESS_TECHNOLOGY_*, by bit. */
const TECHNOLOGIES = [
  ...['POTS', 'GSM', 'GSM', 'GPRS', 'EDGE', 'UMTS', 'HSDPA', 'HSUPA', 'HSPA', 'HSPA+'],
  ...['1xRTT', 'EV-DO', 'EV-DO A', 'EV-DO B', 'LTE', '5G', 'LTE-M', 'NB-IoT'],
] as const;

export interface Modem {
  readonly telling: Telling;
  /** `LTE`, `5G`... */
  readonly technologies: readonly string[];
  readonly operator?: string;
}

/** By the name of each network device of a modem. */
export function modems(objects: ManagedObjects): ReadonlyMap<string, Modem> {
  const found = new Map<string, Modem>();
  for (const interfaces of objects.values()) {
    const modem = interfaces.get(MODEM);
    if (modem === undefined) continue;
    const network = interfaces.get(MODEM_3GPP);
    const registration = numberIn(network, 'RegistrationState') ?? 0;
    const isRoaming = ROAMING.includes(registration);
    const roaming = isRoaming || HOME.includes(registration) ? { roaming: isRoaming } : {};
    const operator = textIn(network, 'OperatorName');
    const bits = numberIn(modem, 'AccessTechnologies') ?? 0;
    const of: Modem = {
      telling: { by: 'ModemManager', told: { type: 'cellular', ...roaming } },
      // All bits: any.
      technologies: bits === 0xffffffff ? [] : TECHNOLOGIES.filter((_, bit) => ((bits >>> bit) & 1) === 1),
      ...(operator !== undefined && { operator }),
    };
    for (const port of listIn(modem, 'Ports')) {
      const [name, type] = Array.isArray(port) ? port : [];
      if (type === MM_MODEM_PORT_TYPE_NET && typeof name === 'string') found.set(name, of);
    }
  }
  return found;
}
