/**
 * Names made from content, so that equal objects get one name and an unchanged object keeps its name from plan to plan.
 * 53 bits are no protection against somebody who searches for collisions: `ContentNames` compares the contents too.
 */
function hash53(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return 0x100000000 * (0x1fffff & low) + (high >>> 0);
}

/** 14 hexadecimal digits that stand for the text. */
export const contentHash = (text: string): string => hash53(text).toString(16).padStart(14, '0');

/** `KIND_HASH`, kept apart where two contents of one plan have the same hash. */
export class ContentNames {
  readonly #contents = new Map<string, string>();

  get size(): number {
    return this.#contents.size;
  }

  name(kind: string, content: string): string {
    const base = `${kind}_${contentHash(content)}`;
    for (let attempt = 0; ; attempt++) {
      const name = attempt === 0 ? base : `${base}_${attempt}`;
      const taken = this.#contents.get(name);
      if (taken === content) return name;
      if (taken === undefined) {
        this.#contents.set(name, content);
        return name;
      }
    }
  }
}
