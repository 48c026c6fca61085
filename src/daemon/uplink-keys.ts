/**
 * Under which name each uplink's number is kept. An uplink is told by its device's name, and so is its number; but where that name comes to
 * another device while the former one is still there, as when two are swapped, connections of the former must not go on by the other:
 * the uplink gets another number, and what has the old one ends.
 */
import type { Link } from '../netlink/link.ts';
import type { Uplink } from '../policy/model.ts';

interface Seen {
  readonly deviceIndex: number;
  readonly times: number;
}

export class UplinkKeys {
  readonly #seen = new Map<string, Seen>();

  /** By the uplink's name. */
  of(uplinks: readonly Pick<Uplink, 'name' | 'device'>[], links: readonly Link[]): ReadonlyMap<string, string> {
    const byName = new Map(links.map((link) => [link.name, link.index]));
    const present = new Set(byName.values());
    return new Map(
      uplinks.map(({ name, device }) => {
        const before = this.#seen.get(name);
        const deviceIndex = byName.get(device);
        if (deviceIndex === undefined) return [name, keyOf(name, before)];
        const isAnother = before !== undefined && before.deviceIndex !== deviceIndex && present.has(before.deviceIndex);
        const seen = { deviceIndex, times: (before?.times ?? 0) + Number(isAnother) };
        this.#seen.set(name, seen);
        return [name, keyOf(name, seen)];
      }),
    );
  }
}

const keyOf = (name: string, seen: Seen | undefined): string =>
  seen === undefined || seen.times === 0 ? name : `${name} ${seen.times + 1}`;
