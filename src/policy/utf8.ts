/** Strict UTF-8 (RFC 3629) in plain code, because the pure layers have no TextDecoder. */

export interface DecodedText {
  readonly text: string;
  /** The first byte that is not UTF-8; each one became U+FFFD. `offset` counts UTF-16 code units of `text`. */
  readonly invalid?: { readonly offset: number; readonly byte: number };
}

/** Small enough to be spread over an argument list on every engine. */
const CHUNK_UNITS = 8192;
const REPLACEMENT = 0xfffd;

/** Refuses overlong forms, surrogates and values above U+10FFFF. Never throws. A leading U+FEFF is left out. */
export function decodeUtf8(bytes: Uint8Array): DecodedText {
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let text = '';
  let units: number[] = [];
  let invalid: DecodedText['invalid'];
  for (let at = start; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) {
      units.push(lead);
      at += 1;
    } else {
      const length = sequenceLength(bytes, at, lead);
      if (length === 0) invalid ??= { offset: text.length + units.length, byte: lead };
      pushCodePoint(units, length === 0 ? REPLACEMENT : codePointAt(bytes, at, length));
      at += Math.max(length, 1);
    }
    if (units.length >= CHUNK_UNITS) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  text += String.fromCharCode(...units);
  return invalid === undefined ? { text } : { text, invalid };
}

/** Bytes of the well-formed sequence at `at`, 0 if it is not one (Unicode table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number, lead: number): 0 | 2 | 3 | 4 {
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0) return 0;
  const second = bytes[at + 1] ?? 0;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let next = 2; next < length; next += 1) {
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

function codePointAt(bytes: Uint8Array, at: number, length: 2 | 3 | 4): number {
  let value = (bytes[at] ?? 0) & (0x7f >> length);
  for (let next = 1; next < length; next += 1) value = (value << 6) | ((bytes[at + next] ?? 0) & 0x3f);
  return value;
}

function pushCodePoint(units: number[], codePoint: number): void {
  if (codePoint < 0x10000) units.push(codePoint);
  else units.push(0xd800 + ((codePoint - 0x10000) >> 10), 0xdc00 + ((codePoint - 0x10000) & 0x3ff));
}
