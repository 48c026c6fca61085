import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { internetChecksum } from './checksum.ts';
import { decodeEchoReply, encodeEchoRequest } from './icmp-echo.ts';

const DATA = Uint8Array.of(1, 2, 3);
/** What a host makes of a request: the same with another type. */
const replyTo = (request: Uint8Array, type: number): Uint8Array => Uint8Array.of(type, ...request.subarray(1));
const ipv4 = (payload: Uint8Array, words = 5): Uint8Array =>
  Uint8Array.of(0x40 | words, ...new Uint8Array(words * 4 - 1), ...payload);

describe('encodeEchoRequest()', () => {
  it('encodeEchoRequest() makes an ICMP message whose checksum is right', () => {
    const bytes = encodeEchoRequest(4, { identifier: 0x1234, sequence: 5, data: DATA });
    expect([...bytes.subarray(0, 2), ...bytes.subarray(4)]).toEqual([8, 0, 0x12, 0x34, 0, 5, 1, 2, 3]);
    expect(internetChecksum([bytes])).toBe(0);
  });

  it('encodeEchoRequest() leaves the checksum of ICMPv6 to the kernel', () => {
    const bytes = encodeEchoRequest(6, { identifier: 1, sequence: 2, data: DATA });
    expect([...bytes]).toEqual([128, 0, 0, 0, 0, 1, 0, 2, 1, 2, 3]);
  });
});

describe('decodeEchoReply()', () => {
  const message = { identifier: 7, sequence: 8, data: DATA };

  it.each([
    [4, 0],
    [6, 129],
  ] as const)('decodeEchoReply() reads the answer of IPv%i', (family, type) => {
    expect(decodeEchoReply(family, replyTo(encodeEchoRequest(family, message), type))).toEqual(message);
  });

  it('decodeEchoReply() reads past an IP header with options', () => {
    const reply = ipv4(replyTo(encodeEchoRequest(4, message), 0), 6);
    expect(decodeEchoReply(4, reply, { hasIpHeader: true })).toEqual(message);
  });

  it('decodeEchoReply() takes nothing else for an answer', () => {
    expect(decodeEchoReply(4, encodeEchoRequest(4, message))).toBeUndefined();
    expect(decodeEchoReply(6, replyTo(encodeEchoRequest(6, message), 0))).toBeUndefined();
    expect(
      decodeEchoReply(4, ipv4(replyTo(encodeEchoRequest(4, message), 0), 4), { hasIpHeader: true }),
    ).toBeUndefined();
  });

  it('decodeEchoReply() takes any bytes', () => {
    const options = fc.record({ hasIpHeader: fc.boolean() });
    fc.assert(
      fc.property(fc.constantFrom(4 as const, 6 as const), fc.uint8Array({ maxLength: 80 }), options, (...given) => {
        const decoded = decodeEchoReply(...given);
        expect(decoded === undefined || decoded.data.length <= given[1].length - 8).toBe(true);
      }),
    );
  });
});
