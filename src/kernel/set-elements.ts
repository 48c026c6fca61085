import { addressToBytes } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { u16Be, u32 } from '../netlink/bytes.ts';
import type { NetlinkRequest } from '../netlink/message.ts';
import {
  type SetElement as EncodedElement,
  encodeElementAdd,
  encodeElementDelete,
} from '../netlink/nftables-element.ts';
import { NFPROTO_INET } from '../netlink/uapi.ts';
import type { KeyType, NftSet, SetElement } from '../plan/nft/ruleset.ts';
import { TABLE } from '../plan/reserved.ts';

/** Parts of a concatenation are padded to whole registers (NFT_REG32_SIZE). */
const REGISTER_BYTES = 4;
/** The kernel counts in whole milliseconds, and takes 0 for no timeout. */
const MIN_TIMEOUT_MS = 1;

/**
 * What lets elements of a set with timeouts hold from now on until they expire, whether they are there already or not: kernels
 * before 6.11 keep the old timeout of what is there. Only the key types that such sets have.
 */
export function refreshRequests(
  { name, key, flags }: NftSet,
  elements: readonly SetElement[],
  nowMs: MonotonicMs,
): NetlinkRequest[] {
  if (elements.length === 0) return [];
  const set = { family: NFPROTO_INET, table: TABLE, set: name };
  const encoded = elements.map((element) => encode(key, flags.includes('interval'), element, nowMs));
  const add = encodeElementAdd(set, encoded, { ifExists: 'keep' });
  return [...add, ...encodeElementDelete(set, encoded), ...add];
}

function encode(
  types: readonly KeyType[],
  isInterval: boolean,
  { key, expiresAtMs }: SetElement,
  nowMs: MonotonicMs,
): EncodedElement {
  const end = (which: 'first' | 'last'): Uint8Array => {
    const parts = key.map((part, i) => keyBytes(types[i], typeof part === 'string' ? undefined : part[which]));
    return parts.length === 1 ? (parts[0] ?? new Uint8Array(0)) : concatenated(parts);
  };
  return {
    key: end('first'),
    ...(isInterval && { keyEnd: end('last') }),
    ...(expiresAtMs !== undefined && { timeoutMs: Math.max(MIN_TIMEOUT_MS, Math.ceil(expiresAtMs - nowMs)) }),
  };
}

function keyBytes(type: KeyType | undefined, value: bigint | undefined): Uint8Array {
  if (value === undefined) throw new RangeError(`no number is a ${type}`);
  switch (type) {
    case 'ipv4_addr':
      return addressToBytes({ family: 4, value });
    case 'ipv6_addr':
      return addressToBytes({ family: 6, value });
    case 'inet_proto':
      return Uint8Array.of(Number(value));
    case 'inet_service':
      return u16Be(Number(value));
    case 'mark':
    case 'uid':
      return u32(Number(value));
    default:
      throw new RangeError(`elements of type ${type} do not come and go`);
  }
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const sizes = parts.map(({ length }) => Math.ceil(length / REGISTER_BYTES) * REGISTER_BYTES);
  const whole = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let offset = 0;
  for (const [i, part] of parts.entries()) {
    whole.set(part, offset);
    offset += sizes[i] ?? 0;
  }
  return whole;
}
