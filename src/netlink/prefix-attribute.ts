/** Prefixes of routes and rules: the length stands in the header, the address in an attribute, which is absent for length 0. */
import type { Family, Prefix } from '../net/address.ts';
import { type Attributes, decodeAddress, encodeAddress } from './attribute.ts';
import { DecodeError } from './errors.ts';

/** Throws DecodeError. */
export function decodePrefix(attributes: Attributes, type: number, family: Family, length: number): Prefix {
  const payload = attributes.get(type);
  const address = payload === undefined ? { family, value: 0n } : decodeAddress(payload);
  const width = family === 4 ? 32 : 128;
  if (address.family !== family || length > width)
    throw new DecodeError(`prefix of length ${length} in family ${family}`);
  if (payload === undefined && length > 0) throw new DecodeError(`prefix of length ${length} without an address`);
  // The kernel does not promise that host bits are zero; Prefix does.
  const shift = BigInt(width - length);
  return { address: { family, value: (address.value >> shift) << shift }, length };
}

export function encodePrefix(type: number, prefix: Prefix): readonly Uint8Array[] {
  return prefix.length === 0 ? [] : [encodeAddress(type, prefix.address)];
}
