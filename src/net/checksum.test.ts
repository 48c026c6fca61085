import { describe, expect, it } from 'vitest';
import { crc32c, internetChecksum } from './checksum.ts';

describe('internetChecksum()', () => {
  it('internetChecksum() gives the example of RFC 1071 section 3', () => {
    expect(internetChecksum([Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)])).toBe(~0xddf2 & 0xffff);
  });

  it('internetChecksum() pads the last part, and does not care where even parts are cut', () => {
    expect(internetChecksum([Uint8Array.of(1, 2), Uint8Array.of(3)])).toBe(
      internetChecksum([Uint8Array.of(1, 2, 3, 0)]),
    );
    expect(internetChecksum([])).toBe(0xffff);
  });

  it('internetChecksum() is 0 over an IPv4 header that a kernel sent', () => {
    const header = Uint8Array.from(Buffer.from('4500003c589040004006ce170a0900010a090002', 'hex'));
    expect(internetChecksum([header])).toBe(0);
  });
});

describe('crc32c()', () => {
  it('crc32c() gives the usual check value and the iSCSI examples of RFC 3720 appendix B.4', () => {
    expect(crc32c(Uint8Array.from('123456789', (digit) => digit.charCodeAt(0)))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  });
});
