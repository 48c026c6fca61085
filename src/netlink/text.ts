/**
 * UTF-8, because the pure layers have no TextEncoder. Kernel names (devices, chains, processes) are bytes, mostly ASCII.
 */
const REPLACEMENT = 0xfffd;
/** Smallest code point that needs 1, 2, 3, 4 bytes: anything below is an overlong form (RFC 3629 section 3). */
const SMALLEST = [0, 0x80, 0x800, 0x10000];

/** Never fails: bytes that are not UTF-8 become U+FFFD, as a device's name may be any bytes. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = '';
  for (let offset = 0; offset < bytes.length; ) {
    const { codePoint, length } = codePointAt(bytes, offset);
    text += String.fromCodePoint(codePoint);
    offset += length;
  }
  return text;
}

function codePointAt(bytes: Uint8Array, offset: number): { readonly codePoint: number; readonly length: number } {
  const first = bytes[offset] as number;
  if (first < 0x80) return { codePoint: first, length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const bad = { codePoint: REPLACEMENT, length: 1 };
  if (first < 0xc0 || first >= 0xf8 || offset + length > bytes.length) return bad;
  let codePoint = first & (0xff >> (length + 1));
  for (let index = 1; index < length; index++) {
    const next = bytes[offset + index] as number;
    if ((next & 0xc0) !== 0x80) return bad;
    codePoint = (codePoint << 6) | (next & 0x3f);
  }
  const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  return codePoint < (SMALLEST[length - 1] as number) || codePoint > 0x10ffff || isSurrogate
    ? bad
    : { codePoint, length };
}

/** A lone surrogate becomes U+FFFD, as in TextEncoder. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    pushCodePoint(bytes, point >= 0xd800 && point <= 0xdfff ? REPLACEMENT : point);
  }
  return new Uint8Array(bytes);
}

function pushCodePoint(bytes: number[], point: number): void {
  if (point < 0x80) {
    bytes.push(point);
  } else if (point < 0x800) {
    bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  } else {
    bytes.push(
      0xf0 | (point >> 18),
      0x80 | ((point >> 12) & 0x3f),
      0x80 | ((point >> 6) & 0x3f),
      0x80 | (point & 0x3f),
    );
  }
}
