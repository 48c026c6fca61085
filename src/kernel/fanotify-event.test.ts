import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../netlink/errors.ts';
import { decodeFanotifyEvents, encodeAllow, type FanotifyEvent } from './fanotify-event.ts';

/** Read from a group on Linux 6.18: process 23535 opens a marked file. */
const OPEN_PERM = '18000000030018000000010000000000 04000000 ef5b0000';
/** Composed: the kernel cannot easily be brought to it. */
const OVERFLOW = '18000000030018000040000000000000 ffffffff 00000000';

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function decodeOrError(input: Uint8Array): readonly FanotifyEvent[] | string {
  try {
    return decodeFanotifyEvents(input);
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

describe('decodeFanotifyEvents()', () => {
  it('decodeFanotifyEvents() reads several events, and one that says that others were lost', () => {
    expect(decodeFanotifyEvents(bytes(OPEN_PERM + OVERFLOW))).toEqual([
      { asksPermission: true, overflow: false, fd: 4, pid: 23535 },
      { asksPermission: false, overflow: true, fd: -1, pid: 0 },
    ]);
    expect(decodeFanotifyEvents(new Uint8Array(0))).toEqual([]);
  });

  it('decodeFanotifyEvents() passes over information that follows the metadata', () => {
    const longer = bytes(`20${OPEN_PERM.slice(2)} 0102030405060708${OVERFLOW}`);
    expect(decodeFanotifyEvents(longer).map(({ fd }) => fd)).toEqual([4, -1]);
  });

  it.each([
    ['cut off', OPEN_PERM.slice(0, -2)],
    ['of length 0, which would never end', `00${OPEN_PERM.slice(2)}`],
    ['of another version', `${OPEN_PERM.slice(0, 8)}04${OPEN_PERM.slice(10)}`],
    ['whose metadata is longer than itself', `${OPEN_PERM.slice(0, 12)}19${OPEN_PERM.slice(14)}`],
    ['whose metadata is too short', `${OPEN_PERM.slice(0, 12)}17${OPEN_PERM.slice(14)}`],
  ])('decodeFanotifyEvents() refuses an event that is %s', (_, hex) => {
    expect(() => decodeFanotifyEvents(bytes(hex))).toThrow(DecodeError);
  });

  it('decodeFanotifyEvents() throws nothing but DecodeError, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        decodeOrError(input);
      }),
    );
  });

  it('decodeFanotifyEvents() never returns more events than there is room for, whatever bytes are changed', () => {
    const original = bytes(OPEN_PERM.repeat(4));
    const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(original.length), (changes, length) => {
        const input = original.slice();
        for (const [offset, value] of changes) input[offset] = value;
        const events = decodeOrError(input.subarray(0, length));
        if (typeof events !== 'string') expect(events.length).toBeLessThanOrEqual(length / 24);
      }),
    );
  });
});

describe('encodeAllow()', () => {
  it('encodeAllow() is struct fanotify_response', () => {
    expect(Buffer.from(encodeAllow(0x1234)).toString('hex')).toBe('3412000001000000');
  });
});
