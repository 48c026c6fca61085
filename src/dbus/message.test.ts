import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../netlink/errors.ts';
import { CAPTURED_MESSAGES } from './captured-messages.ts';
import {
  decodeMessage,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  METHOD_CALL,
  messageLength,
  NO_AUTO_START,
} from './message.ts';

type Name = keyof typeof CAPTURED_MESSAGES;
const NAMES = Object.keys(CAPTURED_MESSAGES) as Name[];
const bytesOf = (name: Name): Uint8Array => new Uint8Array(Buffer.from(CAPTURED_MESSAGES[name], 'base64'));

/** Whether it decoded; any error but DecodeError is let through. */
function decodes(bytes: Uint8Array): boolean {
  try {
    decodeMessage(bytes);
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

describe('decodeMessage', () => {
  it('decodeMessage reads a signal of NetworkManager', () => {
    expect(decodeMessage(bytesOf('propertiesChanged'))).toEqual({
      type: 4,
      flags: 1,
      serial: 227,
      path: '/org/freedesktop/NetworkManager/Devices/2',
      interface: 'org.freedesktop.DBus.Properties',
      member: 'PropertiesChanged',
      sender: ':1.0',
      body: ['org.freedesktop.NetworkManager.Device', new Map([['Metered', 1]]), []],
    });
  });

  it('decodeMessage reads a signal and an error of the bus', () => {
    expect(decodeMessage(bytesOf('nameOwnerChanged'))).toMatchObject({ type: 4, body: [':1.3', '', ':1.3'] });
    expect(decodeMessage(bytesOf('serviceUnknown'))).toMatchObject({
      type: 3,
      errorName: 'org.freedesktop.DBus.Error.ServiceUnknown',
      replySerial: 207,
      destination: ':1.0',
    });
  });

  it.each(NAMES)('decodeMessage refuses %s cut off at any length', (name) => {
    const bytes = bytesOf(name);
    for (let length = 0; length < bytes.length; length += 1) expect(decodes(bytes.slice(0, length))).toBe(false);
    expect(decodes(bytes)).toBe(true);
  });

  it.each(NAMES)('decodeMessage gives only DecodeError for %s with bytes overwritten', (name) => {
    const original = bytesOf(name);
    const change = fc.tuple(fc.nat(original.length - 1), fc.integer({ min: 0, max: 255 }));
    let decoded = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = original.slice();
        for (const [offset, byte] of changes) bytes[offset] = byte;
        if (decodes(bytes)) decoded += 1;
      }),
      { numRuns: 2000 },
    );
    expect(decoded).toBeGreaterThan(0);
  });

  it('decodeMessage gives only DecodeError for random bytes behind a header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(0x6c, 0x42), (rest, endian) => {
        const bytes = new Uint8Array([endian, 1, 0, 1, ...rest]);
        decodes(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('decodeMessage refuses a body that is longer than its signature says', () => {
    const header = { type: METHOD_CALL, flags: 0, serial: 1, member: 'x' };
    const bytes = encodeMessage(header, 'su', ['', 7]);
    const at = bytes.lastIndexOf('u'.charCodeAt(0));
    bytes[at] = 0;
    bytes[at - 2] = 1;
    expect(decodes(bytes)).toBe(false);
  });
});

describe('encodeMessage', () => {
  it('encodeMessage makes what decodeMessage reads', () => {
    const header = {
      type: METHOD_CALL,
      flags: NO_AUTO_START,
      serial: 7,
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'AddMatch',
      destination: 'org.freedesktop.DBus',
    };
    expect(decodeMessage(encodeMessage(header, 's', ["type='signal'"]))).toEqual({
      ...header,
      body: ["type='signal'"],
    });
    expect(decodeMessage(encodeMessage(header))).toEqual({ ...header, body: [] });
  });
});

describe('messageLength', () => {
  it('messageLength says how long a message is as soon as its header is there', () => {
    const bytes = bytesOf('serviceUnknown');
    expect(messageLength(bytes.subarray(0, 15))).toBeUndefined();
    expect(messageLength(bytes.subarray(0, 16))).toBe(bytes.length);
  });

  it('messageLength refuses what is no message, and one that is too long', () => {
    const bytes = bytesOf('serviceUnknown');
    const changed = (offset: number, ...put: number[]): Uint8Array => {
      const copy = bytes.slice();
      copy.set(put, offset);
      return copy;
    };
    expect(() => messageLength(changed(0, 0x41))).toThrow(DecodeError);
    expect(() => messageLength(changed(3, 2))).toThrow(DecodeError);
    expect(MAX_MESSAGE_BYTES).toBe(0x1000000);
    expect(() => messageLength(changed(4, 0, 0, 0, 1))).toThrow(DecodeError);
  });
});
