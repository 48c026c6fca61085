/**
 * Arithmetic on packet, socket and conntrack marks: unsigned 32-bit numbers, where JavaScript's own operators are signed.
 * Every result is 0..0xffffffff.
 */

/** `(mark & ~mask) | value`, as `meta mark set mark and ~MASK or VALUE` in nft: all bits outside of both survive. */
export function withBits(mark: number, value: number, mask: number): number {
  return ((mark & ~mask) | value) >>> 0;
}

/** `0x` and eight hexadecimal digits, as nft prints a mark. */
export function formatMark(mark: number): string {
  return `0x${(mark >>> 0).toString(16).padStart(8, '0')}`;
}
