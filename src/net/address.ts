/**
 * IP addresses and prefixes as plain values that survive structured cloning.
 * Text forms: RFC 4291 section 2.2 in, RFC 5952 out.
 */
export type Family = 4 | 6;

/** An address. `value` is the number its bytes spell in network order: 32 bits for family 4, 128 for family 6. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix. Bits of `address` beyond `length` are zero. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}
