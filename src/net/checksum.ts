/** Checksums of packet headers. */

/**
 * Internet checksum (RFC 1071) over the parts in a row, 0..0xffff.
 * Each part but the last has an even length. Over data that holds its own checksum it is 0.
 */
export function internetChecksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (const [index, byte] of part.entries()) sum += index % 2 === 0 ? byte * 256 : byte;
  }
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

const CRC32C_POLYNOMIAL_REFLECTED = 0x82f63b78;

/** CRC-32C (Castagnoli), unsigned 32 bits; SCTP carries it in little-endian order (RFC 9260 appendix A). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : CRC32C_POLYNOMIAL_REFLECTED);
  }
  return ~crc >>> 0;
}
