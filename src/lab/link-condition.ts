/** What a person made of an uplink's link: `pointsman lab link`. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { labFiles } from './lab-state.ts';
import { LAB_UPLINKS, type LabUplinkName } from './world.ts';

/** Keys that are absent leave the link as the lab was built. */
export interface LinkCondition {
  /** The far end is down: the device's carrier is lost. */
  readonly down?: true;
  /** Of the packets in each direction, 0 to 100. */
  readonly lossPercent?: number;
  /** What loses them on this kernel; `labLink` writes it down. */
  readonly lossBy?: 'netem' | 'nft';
  /** Added to each round trip. */
  readonly delayMs?: number;
  /** In each direction. */
  readonly rateBitsPerSecond?: number;
}

export type LinkConditions = Readonly<Partial<Record<LabUplinkName, LinkCondition>>>;

export type LinkChange =
  | { readonly kind: 'up' | 'down' | 'clear' }
  | { readonly kind: 'loss'; readonly lossPercent: number }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'rate'; readonly rateBitsPerSecond: number };

/** `up` undoes `down`, `clear` everything; what stands beside a changed value stays. */
export function changeCondition(before: LinkCondition, change: LinkChange): LinkCondition {
  const { down, lossPercent, delayMs, rateBitsPerSecond } = before;
  const kept = {
    ...(lossPercent === undefined ? {} : { lossPercent }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(rateBitsPerSecond === undefined ? {} : { rateBitsPerSecond }),
  };
  switch (change.kind) {
    case 'up':
      return kept;
    case 'down':
      return { ...kept, down: true };
    case 'clear':
      return {};
    case 'loss':
    case 'delay':
    case 'rate': {
      const { kind: _, ...value } = change;
      return { ...(down === undefined ? {} : { down }), ...kept, ...value };
    }
  }
}

/** `down, loss 30% (by nft), delay 200 ms, rate 2 Mbit/s`; empty for a link as it was built. */
export function describeCondition({ down, lossPercent, lossBy, delayMs, rateBitsPerSecond }: LinkCondition): string {
  const by = lossBy === undefined ? '' : ` (by ${lossBy})`;
  return [
    ...(down === undefined ? [] : ['down']),
    ...(lossPercent === undefined ? [] : [`loss ${lossPercent}%${by}`]),
    ...(delayMs === undefined ? [] : [`delay ${delayMs} ms`]),
    ...(rateBitsPerSecond === undefined ? [] : [`rate ${describeRate(rateBitsPerSecond)}`]),
  ].join(', ');
}

function describeRate(bitsPerSecond: number): string {
  const units = [
    ['Gbit/s', 1e9],
    ['Mbit/s', 1e6],
    ['kbit/s', 1e3],
  ] as const;
  const [unit, size] = units.find(([, least]) => bitsPerSecond >= least) ?? ['bit/s', 1];
  return `${Number((bitsPerSecond / size).toPrecision(6))} ${unit}`;
}

/** Empty where nothing was changed, or the file is not one of ours any more. */
export async function readConditions(stateDir: string): Promise<LinkConditions> {
  try {
    const value: unknown = JSON.parse(await readFile(labFiles(stateDir).links, 'utf8'));
    return isConditions(value) ? value : {};
  } catch {
    return {};
  }
}

/** Written aside and renamed: a crash leaves the old file or the new one. */
export async function writeConditions(stateDir: string, conditions: LinkConditions): Promise<void> {
  const { links } = labFiles(stateDir);
  await writeFile(`${links}.new`, `${JSON.stringify(conditions)}\n`);
  await rename(`${links}.new`, links);
}

function isConditions(value: unknown): value is LinkConditions {
  if (typeof value !== 'object' || value === null) return false;
  const names: readonly string[] = LAB_UPLINKS.map(({ name }) => name);
  return Object.entries(value).every(([name, condition]) => names.includes(name) && isCondition(condition));
}

function isCondition(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { down, lossBy, ...numbers } = value as Record<string, unknown>;
  const known = ['lossPercent', 'delayMs', 'rateBitsPerSecond'];
  const isNumber = ([key, number]: [string, unknown]): boolean => known.includes(key) && typeof number === 'number';
  if (lossBy !== undefined && lossBy !== 'netem' && lossBy !== 'nft') return false;
  return (down === undefined || down === true) && Object.entries(numbers).every(isNumber);
}
