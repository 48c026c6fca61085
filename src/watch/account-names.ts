/** Who and which way a mark's numbers stand for, now or when the mark was written. Pure. */
import type { Way } from '../api/traffic-totals.ts';
import { isUplink, readMark } from '../plan/flow-mark.ts';
import { type FlowNumbers, GONE_APPS, NOBODY, OTHER_WAYS } from './flow-names.ts';

export interface AccountName {
  readonly app: string;
  readonly way: Way;
  /** Where the way is one. */
  readonly uplink?: string;
}

/**
 * A name that has vanished keeps its number until no other is left (`store/id-register.ts`), so its last connections are still
 * known by it.
 */
export class AccountNames {
  #of: FlowNumbers = { apps: new Map(), uplinks: new Map() };
  readonly #apps = new Map<number, string>();
  readonly #uplinks = new Map<number, string>();

  /** Whether these are other maps than those that hold: maps are never changed, but replaced. */
  isNews({ apps, uplinks }: FlowNumbers): boolean {
    return apps !== this.#of.apps || uplinks !== this.#of.uplinks;
  }

  /** Whether a number was another name's: marks of before are not to be read by these. */
  reassigns({ apps, uplinks }: FlowNumbers): boolean {
    return reassigns(this.#apps, apps) || reassigns(this.#uplinks, uplinks);
  }

  follow(numbers: FlowNumbers): void {
    this.#of = numbers;
    for (const [name, number] of numbers.apps) this.#apps.set(number, name);
    for (const [name, number] of numbers.uplinks) this.#uplinks.set(number, name);
  }

  nameOf(mark: number): AccountName {
    const { appId, way } = readMark(mark);
    const app = this.#apps.get(appId) ?? NOBODY.get(appId) ?? GONE_APPS;
    if (!isUplink(way)) return { app, way: OTHER_WAYS.get(way) ?? 'unknown' };
    const uplink = this.#uplinks.get(way);
    return uplink === undefined ? { app, way: 'unknown' } : { app, way: 'uplink', uplink };
  }
}

function reassigns(before: ReadonlyMap<number, string>, now: ReadonlyMap<string, number>): boolean {
  for (const [name, number] of now) {
    const owner = before.get(number);
    if (owner !== undefined && owner !== name) return true;
  }
  return false;
}
