import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEAL_BYTES, TUNNEL_KEY_BYTES, tunnelSeal, tunnelUnseal } from './tunnel-seal.ts';

const KEY = randomBytes(TUNNEL_KEY_BYTES);
const PACKET = fc.uint8Array({ maxLength: 1500 });

describe('tunnelUnseal', () => {
  it('tunnelUnseal() gives back what the other end sealed, each time in other bytes', () => {
    const [seal, unseal] = [tunnelSeal(KEY, 'near'), tunnelUnseal(KEY, 'near')];
    fc.assert(
      fc.property(PACKET, (packet) => {
        const [first, second] = [seal(packet), seal(packet)];
        expect(first).toHaveLength(packet.length + SEAL_BYTES);
        expect(Buffer.compare(first, second)).not.toBe(0);
        expect([unseal(first), unseal(second)].map((plain) => Buffer.compare(plain ?? Buffer.of(), packet))).toEqual([
          0, 0,
        ]);
      }),
    );
  });

  it('tunnelUnseal() takes nothing that was changed or cut on the way', () => {
    const [seal, unseal] = [tunnelSeal(KEY, 'near'), tunnelUnseal(KEY, 'near')];
    fc.assert(
      fc.property(PACKET, fc.nat(), fc.integer({ min: 1, max: 255 }), (packet, at, flip) => {
        const sealed = Uint8Array.from(seal(packet));
        const place = at % sealed.length;
        expect(unseal(sealed.subarray(0, place))).toBeUndefined();
        sealed[place] = (sealed[place] ?? 0) ^ flip;
        expect(unseal(sealed)).toBeUndefined();
      }),
    );
  });

  it('tunnelUnseal() takes nothing of another key, of random bytes, or of its own direction', () => {
    const packet = Buffer.from('a packet');
    expect(tunnelUnseal(randomBytes(TUNNEL_KEY_BYTES), 'near')(tunnelSeal(KEY, 'near')(packet))).toBeUndefined();
    expect(tunnelUnseal(KEY, 'far')(tunnelSeal(KEY, 'near')(packet))).toBeUndefined();
    fc.assert(fc.property(PACKET, (bytes) => tunnelUnseal(KEY, 'near')(bytes) === undefined));
  });
});
