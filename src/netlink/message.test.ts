import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeString, encodeU32 } from './attribute.ts';
import { concatBytes, u32 } from './bytes.ts';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeAcknowledgement, decodeMessages, encodeMessage, type NetlinkMessage } from './message.ts';
import { NLM_F_ACK_TLVS, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR } from './uapi.ts';

function message(type: number, flags: number, body: Uint8Array): NetlinkMessage {
  return { type, flags, sequence: 1, portId: 0, body };
}

const u16Number = fc.integer({ min: 0, max: 0xffff });
const anyMessage = fc.record({
  type: u16Number,
  flags: u16Number,
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  body: fc.uint8Array({ maxLength: 40 }),
});

describe('encodeMessage()', () => {
  it('writes the header in host order and pads to a multiple of 4', () => {
    const bytes = encodeMessage({ type: 0x0102, flags: 5, sequence: 7, body: new Uint8Array([9]) });
    expect([...bytes]).toEqual([17, 0, 0, 0, 2, 1, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
  });
});

describe('decodeMessages()', () => {
  it('gives back every message of a datagram', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
        const decoded = decodeMessages(concatBytes(messages.map(encodeMessage)));
        expect(decoded).toEqual(messages.map((each) => ({ ...each, portId: 0 })));
      }),
    );
  });

  it('accepts a last message without padding, as the kernel sends it', () => {
    const bytes = encodeMessage({ type: 20, flags: 0, sequence: 1, body: new Uint8Array([1, 2, 3]) });
    expect(decodeMessages(bytes.slice(0, 19))[0]?.body).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('refuses a length that is smaller than the header, instead of standing still', () => {
    const bytes = encodeMessage({ type: 20, flags: 0, sequence: 1, body: new Uint8Array(4) });
    bytes[0] = 0;
    expect(() => decodeMessages(bytes)).toThrow(DecodeError);
  });
});

describe('decodeAcknowledgement()', () => {
  it('reads success', () => {
    expect(decodeAcknowledgement(capturedMessage('acknowledged'))).toEqual({ errno: 0 });
  });

  it('reads the error number and the kernel’s own words', () => {
    const expected = { errno: 101, message: 'Nexthop has invalid gateway' };
    expect(decodeAcknowledgement(capturedMessage('errorWithText'))).toEqual(expected);
  });

  it('finds text and offset after an echoed request', () => {
    const request = encodeMessage({ type: 24, flags: 5, sequence: 1, body: new Uint8Array([1, 2, 3, 4, 5]) });
    request[0] = 21;
    const attributes = [encodeString(1, 'why'), encodeU32(2, 40)];
    const body = concatBytes([u32(0xffff_ffff - 21), request, ...attributes]);
    const expected = { errno: 22, message: 'why', offset: 40 };
    expect(decodeAcknowledgement(message(NLMSG_ERROR, NLM_F_ACK_TLVS, body))).toEqual(expected);
  });

  it('reads how a dump ended', () => {
    const failed = concatBytes([u32(0xffff_ffff), encodeString(1, 'no')]);
    expect(decodeAcknowledgement(message(NLMSG_DONE, NLM_F_MULTI, u32(0)))).toEqual({ errno: 0 });
    expect(decodeAcknowledgement(message(NLMSG_DONE, NLM_F_MULTI, new Uint8Array(0)))).toEqual({ errno: 0 });
    const done = message(NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS, failed);
    expect(decodeAcknowledgement(done)).toEqual({ errno: 1, message: 'no' });
  });

  it('refuses other messages', () => {
    expect(() => decodeAcknowledgement(message(24, 0, u32(0)))).toThrow(DecodeError);
  });
});
