/**
 * What files, ModemManager, NetworkManager and the kernel say of the ways out, joined: property by property the first of them
 * that says anything is right, and it is remembered who that was. Pure, and made of its own result it gives the same.
 */
import { plainText } from '../net/plain-text.ts';
import type { PropertySource, PropertySources, Uplink, UplinkProperties } from './model.ts';
import { compareText } from './policy-source.ts';

/** Properties as somebody tells them. Absent or undefined: nothing is said. */
export type Told = { readonly [P in keyof UplinkProperties]?: UplinkProperties[P] | undefined };

/** What one of the sources says of one device. */
export interface Telling {
  readonly by: PropertySource['by'];
  readonly told: Told;
  /** Those of `told` that it does not know for certain. */
  readonly guesses?: readonly (keyof UplinkProperties)[];
}

/** A device that is a way out whether or not a file names it. */
export interface FoundDevice {
  readonly device: string;
  /** As in uplink files. */
  readonly priority: number;
  /** Nobody on this machine made it one, nor admits it: a neighbour announced it. */
  readonly untaken?: true;
}

/**
 * By what the packets of a device leave that carries none itself. `sameNetwork`: it is that device under another name, or its IPv4, and
 * no other network.
 */
export type Carrier =
  | { readonly kind: 'devices'; readonly devices: readonly string[]; readonly sameNetwork?: true }
  | { readonly kind: 'unknown' };

export interface UplinkEvidence {
  readonly found: readonly FoundDevice[];
  /** By device; absent for those that carry their packets themselves. */
  readonly carriers?: ReadonlyMap<string, Carrier>;
  /** By device, whoever is to be believed first. */
  readonly tellings: ReadonlyMap<string, readonly Telling[]>;
}

/** As in the schema of uplink files. */
const MAX_NAME_LENGTH = 15;
const DEFAULTS: Pick<UplinkProperties, 'type' | 'metered' | 'roaming' | 'trusted' | 'encrypted'> = {
  type: 'other',
  metered: false,
  roaming: false,
  trusted: false,
  encrypted: false,
};
const PROPERTIES = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[];
/** Of these there is no default: what nobody says is not known. */
const QUANTITIES = ['bandwidthBitsPerSecond', 'rttMs', 'lossRatio'] as const;
const NOWHERE: Uplink['at'] = { file: '(discovered)', line: 1, column: 1 };

/** Of the tellings the first counts that says something, property by property; then the default. */
export function propertiesOf(tellings: readonly Telling[]): {
  readonly properties: UplinkProperties;
  readonly sources: PropertySources;
} {
  const properties: Partial<Record<keyof UplinkProperties, unknown>> = {};
  const sources: Partial<Record<keyof UplinkProperties, PropertySource>> = {};
  for (const property of [...PROPERTIES, ...QUANTITIES]) {
    const telling = tellings.find(({ told }) => told[property] !== undefined);
    if (telling !== undefined) {
      properties[property] = telling.told[property];
      sources[property] = { by: telling.by, ...(telling.guesses?.includes(property) && { guess: true as const }) };
    } else if (property in DEFAULTS) {
      properties[property] = DEFAULTS[property as keyof typeof DEFAULTS];
      sources[property] = { by: 'default' };
    }
  }
  // Every property has got a value of its own kind.
  return { properties: properties as unknown as UplinkProperties, sources: sources as PropertySources };
}

/** What the file says. */
function ofFile({ properties, sources }: Uplink): Telling {
  const stated = [...PROPERTIES, ...QUANTITIES].filter((property) => (sources?.[property]?.by ?? 'file') === 'file');
  return { by: 'file', told: Object.fromEntries(stated.map((property) => [property, properties[property]])) };
}

/** What is said of devices, with what they have from those that carry them. */
class Tellings {
  readonly #files: readonly Uplink[];
  readonly #evidence: UplinkEvidence;
  readonly #made = new Map<string, readonly Telling[]>();

  constructor(files: readonly Uplink[], evidence: UplinkEvidence) {
    this.#files = files;
    this.#evidence = evidence;
  }

  /** `above`: devices of which this is asked for. */
  ofDevice(device: string, above: readonly string[] = []): readonly Telling[] {
    const made = this.#made.get(device);
    if (made !== undefined) return made;
    const outside = this.#evidence.tellings.get(device) ?? [];
    const carrier = this.#evidence.carriers?.get(device);
    const all = carrier === undefined ? outside : withCarrier(outside, this.#byCarrier(device, carrier, above));
    // What was cut off, because it goes in a circle, holds for whoever asked first alone.
    if (above.length === 0) this.#made.set(device, all);
    return all;
  }

  #byCarrier(device: string, carrier: Carrier, above: readonly string[]): Telling {
    if (carrier.kind === 'unknown' || carrier.devices.some((below) => below === device || above.includes(below)))
      return UNKNOWN_CARRIER;
    const below = carrier.devices.flatMap((each) => this.#propertiesOf(each, [...above, device]));
    const all = { properties: below.map(({ properties }) => properties), sources: below.map(({ sources }) => sources) };
    const has = (flag: 'metered' | 'roaming'): boolean => all.properties.some((properties) => properties[flag]);
    const isGuess = (flag: 'metered' | 'roaming'): boolean =>
      all.sources.some((sources) => sources[flag].guess === true);
    const [first] = all.properties;
    return {
      by: 'carrier',
      told: {
        metered: has('metered'),
        roaming: has('roaming'),
        ...(carrier.sameNetwork && first !== undefined && { type: first.type }),
      },
      guesses: (['metered', 'roaming'] as const).filter(isGuess),
    };
  }

  /** Of all uplinks that files make of the device, or of the device as it is. */
  #propertiesOf(device: string, above: readonly string[]): ReturnType<typeof propertiesOf>[] {
    const tellings = this.ofDevice(device, above);
    const files = this.#files.filter((uplink) => uplink.device === device);
    return files.length === 0
      ? [propertiesOf(tellings)]
      : files.map((uplink) => propertiesOf([ofFile(uplink), ...tellings]));
  }
}

/** What nobody knows to be free may cost. */
const UNKNOWN_CARRIER: Telling = {
  by: 'unknown carrier',
  told: { metered: true, roaming: true },
  guesses: ['metered', 'roaming'],
};

/** What somebody set for the device itself holds, the kernel's word of its kind only after its carrier's; what others guess of it only adds to what its carrier costs. */
function withCarrier(outside: readonly Telling[], carrier: Telling): readonly Telling[] {
  const certain = outside
    .filter(({ by }) => by !== 'kernel')
    .map(({ by, told, guesses = [] }): Telling => {
      const kept = Object.entries(told).filter(([property]) => !guesses.some((guess) => guess === property));
      return { by, told: Object.fromEntries(kept) };
    });
  const costly = outside.filter(({ told }) => told.metered === true).map(({ by }) => ({ by, told: { metered: true } }));
  const isFree = carrier.told.metered === false;
  const guessed = isFree ? costly.map((telling): Telling => ({ ...telling, guesses: ['metered'] })) : [];
  return [...certain, ...guessed, carrier, ...outside];
}

/**
 * Uplinks of files first, in their order, then those that were found, by device. An uplink that says the same as in `before`
 * is the same object, and so is the list.
 */
export function joinUplinks(
  stated: readonly Uplink[],
  evidence: UplinkEvidence,
  before: readonly Uplink[] = stated,
): readonly Uplink[] {
  const { found } = evidence;
  const files = stated.filter(({ discovered }) => !discovered);
  const tellings = new Tellings(files, evidence);
  const same = new Map(before.map((uplink) => [uplink.name, uplink]));
  const keep = (uplink: Uplink): Uplink => {
    const earlier = same.get(uplink.name);
    return earlier !== undefined && plainText(earlier) === plainText(uplink) ? earlier : uplink;
  };
  const joined = [
    ...files.map((uplink): Uplink => {
      const { properties: _, sources: __, ...rest } = uplink;
      const { properties, sources } = propertiesOf([ofFile(uplink), ...tellings.ofDevice(uplink.device)]);
      const { name, device, priority, gateways, ...others } = rest;
      return keep({ name, device, priority, properties, sources, gateways, ...others });
    }),
    ...withoutFile(files, found).map(({ device, priority, name, untaken }): Uplink => {
      const told = propertiesOf(tellings.ofDevice(device));
      const found = { discovered: true, ...(untaken && { untaken }) } as const;
      return keep({ name, device, priority, ...told, ...found, gateways: {}, at: NOWHERE });
    }),
  ];
  return joined.length === before.length && joined.every((uplink, i) => uplink === before[i]) ? before : joined;
}

function withoutFile(
  files: readonly Uplink[],
  found: readonly FoundDevice[],
): readonly (FoundDevice & { readonly name: string })[] {
  const named = new Set(files.map(({ device }) => device));
  const taken = new Set(files.map(({ name }) => name));
  // Those that keep their name come first: it is not to depend on others that come and go.
  const keepsName = ({ device }: FoundDevice): boolean => uplinkNameOf(device) === device;
  const nameless = found
    .filter(({ device }) => !named.has(device))
    .toSorted((a, b) => Number(keepsName(b)) - Number(keepsName(a)) || compareText(a.device, b.device));
  return nameless
    .map((each) => ({ ...each, name: freeName(uplinkNameOf(each.device), taken) }))
    .sort((a, b) => compareText(a.device, b.device));
}

/** A device's name in the form of uplinks' names: small letters, digits and dashes, a letter first, at most 15. */
export function uplinkNameOf(device: string): string {
  const plain = device.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  return (/^[a-z]/.test(plain) ? plain : `u${plain}`).slice(0, MAX_NAME_LENGTH);
}

/** The name, or with `-2`, `-3`... behind it where it belongs to another uplink; it is then taken. */
function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) {
    const suffix = `-${number}`;
    name = `${wanted.slice(0, MAX_NAME_LENGTH - suffix.length)}${suffix}`;
  }
  taken.add(name);
  return name;
}

/**
 * Names of those that can be taken: nobody else gets a number in the marks. Those of files come first, then the kernel's best: where there
 * are more than numbers, the worst go without.
 */
export const takenNames = (uplinks: readonly Uplink[]): readonly string[] =>
  uplinks
    .filter(({ untaken }) => untaken === undefined)
    .toSorted(
      (a, b) =>
        Number(a.discovered === true) - Number(b.discovered === true) ||
        a.priority - b.priority ||
        compareText(a.name, b.name),
    )
    .map(({ name }) => name);

/** `NetworkManager, guess`. */
export function describeSource({ by, guess }: PropertySource): string {
  return guess && by !== 'unknown carrier' ? `${by}, guess` : by;
}
