/**
 * Bob Jenkins' hash as include/linux/jhash.h has it (lookup3, public domain), which nft's `jhash` expression uses: what a
 * ruleset makes of a packet can be told without the kernel.
 */

const JHASH_INITVAL = 0xdeadbeef;
const BLOCK_BYTES = 12;
/** Whole blocks are read as the machine stores its words, what is left over byte by byte. */
const HOST_IS_LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const rol32 = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/** 32 bits, unsigned. */
export function jhash(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let a = (JHASH_INITVAL + bytes.length + seed) | 0;
  let b = a;
  let c = a;
  let offset = 0;
  for (; bytes.length - offset > BLOCK_BYTES; offset += BLOCK_BYTES) {
    a = (a + view.getUint32(offset, HOST_IS_LITTLE_ENDIAN)) | 0;
    b = (b + view.getUint32(offset + 4, HOST_IS_LITTLE_ENDIAN)) | 0;
    c = (c + view.getUint32(offset + 8, HOST_IS_LITTLE_ENDIAN)) | 0;
    a = (a - c) ^ rol32(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rol32(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rol32(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rol32(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rol32(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rol32(b, 4);
    b = (b + a) | 0;
  }
  if (offset === bytes.length) return c >>> 0;
  const rest = new Uint8Array(BLOCK_BYTES);
  rest.set(bytes.subarray(offset));
  const last = new DataView(rest.buffer);
  a = (a + last.getUint32(0, true)) | 0;
  b = (b + last.getUint32(4, true)) | 0;
  c = (c + last.getUint32(8, true)) | 0;
  c = (c ^ b) - rol32(b, 14);
  a = (a ^ c) - rol32(c, 11);
  b = (b ^ a) - rol32(a, 25);
  c = (c ^ b) - rol32(b, 16);
  a = (a ^ c) - rol32(c, 4);
  b = (b ^ a) - rol32(a, 14);
  c = (c ^ b) - rol32(b, 24);
  return c >>> 0;
}

/** `jhash ... mod MODULUS`: the kernel scales instead of dividing (reciprocal_scale in include/linux/kernel.h). */
export function jhashMod(bytes: Uint8Array, seed: number, modulus: number): number {
  return Number((BigInt(jhash(bytes, seed)) * BigInt(modulus)) >> 32n);
}
