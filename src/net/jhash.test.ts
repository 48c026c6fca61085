import { describe, expect, it } from 'vitest';
import { jhash, jhashMod } from './jhash.ts';

const SEED = 0x706d;
const SOURCE4 = [10, 9, 0, 2];
const TO4 = [10, 1, 2, 3];
const network6 = [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const SOURCE6 = [...network6, 2];
const TO6 = [...network6, 9];
const UDP = [17, 0, 0, 0];
/** From port 50000 to port 443. */
const PORTS = [0xc3, 0x50, 0, 0, 0x01, 0xbb, 0, 0];

describe('jhash()', () => {
  it.each([
    ['ip daddr', TO4, SEED, 0x342780ac],
    ['ip saddr . ip daddr . meta l4proto', [...SOURCE4, ...TO4, ...UDP], 0, 0x5f2cfd17],
    ['ip6 daddr', TO6, SEED, 0x69414a0b],
    [
      'ip saddr . ip daddr . meta l4proto . th sport . th dport',
      [...SOURCE4, ...TO4, ...UDP, ...PORTS],
      SEED,
      0xbdb42fd3,
    ],
    [
      'ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport',
      [...SOURCE6, ...TO6, ...UDP, ...PORTS],
      SEED,
      0x3b833548,
    ],
  ])('jhash() of %s is what Linux 6.18 said of a real packet, mod 4294967295', (_, bytes, seed, seen) => {
    const hashed = Uint8Array.from(bytes);
    expect(jhashMod(hashed, seed, 0xffffffff)).toBe(seen);
    // By that modulus one less.
    expect(jhash(hashed, seed)).toBe(seen + 1);
  });

  it('jhash() reads bytes wherever they lie', () => {
    const bytes = Uint8Array.from([...SOURCE6, ...TO6]);
    const shifted = new Uint8Array([7, ...bytes, 7]).subarray(1, -1);
    expect(jhash(shifted, 1)).toBe(jhash(bytes, 1));
    expect(jhash(new Uint8Array(), 0)).toBe(0xdeadbeef);
  });
});
