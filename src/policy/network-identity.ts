/**
 * What tells one network from another, in the form in which profiles and the machine's own word of it are compared: the name of a
 * wireless network (IEEE 802.11 section 9.4.2.2), the gateway's MAC address, a DNS domain.
 */
import type { Mistake } from './report.ts';

/** Of an SSID, in bytes. */
export const MAX_SSID_BYTES = 32;
/** RFC 1035 section 2.3.4, without the root's dot. */
const MAX_DOMAIN_LENGTH = 253;
/** Who gives a machine more of them wants something else. */
export const MAX_DOMAINS = 32;
/** RFC 1123 section 2.1. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAC = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/;
/** Of the first byte: a MAC address that many listen to (IEEE 802). */
const GROUP_BIT = 0x01;
/** What the bytes of an SSID become that are not UTF-8: no name that a person could mean. */
const REPLACEMENT = '\ufffd';

/** For JSON Schema: the form, in any case. */
export const MAC_PATTERN = '^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$';

export type Identity =
  | { readonly ok: true; readonly value: string }
  | ({ readonly ok: false } & Pick<Mistake, 'message' | 'hint'>);

/** Any text that 1 to 32 bytes of UTF-8 can be. */
export function parseSsid(text: string): Identity {
  const bytes = utf8Length(text);
  if (bytes === 0) return { ok: false, message: 'the name of a wireless network is not empty' };
  if (bytes > MAX_SSID_BYTES) {
    return { ok: false, message: `${bytes} bytes, and the name of a wireless network has at most ${MAX_SSID_BYTES}` };
  }
  if (text.includes(REPLACEMENT)) return { ok: false, message: 'U+FFFD stands for bytes that are no text' };
  return { ok: true, value: text };
}

/** `00:00:5e:00:53:01`, in any case, also with dashes, of one device. The value has small letters and colons. */
export function parseMacAddress(text: string): Identity {
  const small = text.toLowerCase();
  if (!MAC.test(small)) {
    const digits = small.replaceAll(/[^0-9a-f]/g, '');
    const hint = digits.length === 12 ? `did you mean ${colons(digits)}?` : 'as `ip neigh` shows it of the gateway';
    return { ok: false, message: 'this is no MAC address such as "00:00:5e:00:53:01"', hint };
  }
  const value = small.replaceAll('-', ':');
  if ((Number.parseInt(value.slice(0, 2), 16) & GROUP_BIT) !== 0) {
    return { ok: false, message: 'many listen to this address, so that it is no gateway’s' };
  }
  return { ok: true, value };
}

/** Exactly one domain. The value has small letters and no final dot. */
export function parseDomain(text: string): Identity {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (/\P{ASCII}/u.test(name)) {
    return { ok: false, message: 'a domain with other than ASCII letters is written in punycode (xn--...)' };
  }
  if (name.length > MAX_DOMAIN_LENGTH || !name.split('.').every((label) => LABEL.test(label))) {
    const hint = name.includes('*') ? 'name each domain' : undefined;
    return { ok: false, message: 'this is no DNS domain such as "home.example"', hint };
  }
  return { ok: true, value: name };
}

/** As profiles have them, sorted, each once. What is no domain, such as systemd's `~.`, is left out. */
export function domainsOf(texts: readonly string[]): readonly string[] {
  const domains = texts.slice(0, MAX_DOMAINS).flatMap((text) => {
    const domain = parseDomain(text);
    return domain.ok ? [domain.value] : [];
  });
  return [...new Set(domains)].sort();
}

const colons = (digits: string): string => digits.match(/../g)?.join(':') ?? digits;

/** The pure layers have no TextEncoder. Half of a surrogate pair counts as what it is replaced by. */
function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
