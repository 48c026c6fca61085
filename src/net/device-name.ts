/**
 * Names of network devices. The kernel takes any 1 to 15 bytes but `/`, `:` and white space (dev_valid_name in net/core/dev.c), and
 * whoever adds a device chooses them.
 */
const MAX_NAME_BYTES = 15;
/**
 * What nft(8) can neither quote nor take at its word: it has no escape for `"`, and `*` and `\` at the end make a pattern of a name.
 * U+FFFD stands for bytes that are not UTF-8: another device may be called the same here. Control characters no name has honestly.
 */
const UNUSABLE = /["*\\/\ufffd\s\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Whether a device can be told by its name wherever we have to write it. Of any other none of our objects is made. */
export function isUsableDeviceName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !UNUSABLE.test(name) && utf8Length(name) <= MAX_NAME_BYTES;
}

function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}
