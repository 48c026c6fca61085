/** Bytes that are not what the kernel's headers say they should be. The only error a decoder throws. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}
