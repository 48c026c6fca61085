/**
 * What one end of the lab's tunnel sends and the other can read and trust: ChaCha20-Poly1305 (RFC 8439) with a key that the
 * lab makes anew each time. Replayed datagrams are not noticed: a stand-in for a VPN, which is WireGuard elsewhere.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export const TUNNEL_KEY_BYTES = 32;
const ALGORITHM = 'chacha20-poly1305';
const NONCE_BYTES = 12;
const SALT_BYTES = 4;
const TAG_BYTES = 16;
/** What sealing adds. */
export const SEAL_BYTES: number = NONCE_BYTES + TAG_BYTES;

export type TunnelEnd = 'near' | 'far';

/** A key for each direction: the same nonce of both ends is none of the other's. */
function directionKey(key: Uint8Array, sender: TunnelEnd): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), `pointsman lab tunnel ${sender}`, TUNNEL_KEY_BYTES));
}

/** Makes datagrams: nonce, then ciphertext, then tag. A nonce is a random salt of the process and a count. */
export function tunnelSeal(key: Uint8Array, sender: TunnelEnd): (plain: Uint8Array) => Uint8Array {
  const own = directionKey(key, sender);
  const nonce = Buffer.alloc(NONCE_BYTES);
  randomBytes(SALT_BYTES).copy(nonce);
  let count = 0n;
  return (plain) => {
    nonce.writeBigUInt64LE(count, SALT_BYTES);
    count += 1n;
    const cipher = createCipheriv(ALGORITHM, own, nonce, { authTagLength: TAG_BYTES });
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
}

/** Undefined for what the other end did not seal, or somebody changed. */
export function tunnelUnseal(key: Uint8Array, sender: TunnelEnd): (sealed: Uint8Array) => Uint8Array | undefined {
  const own = directionKey(key, sender);
  return (sealed) => {
    if (sealed.length < SEAL_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, own, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch {
      return undefined;
    }
  };
}
