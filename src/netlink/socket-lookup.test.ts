import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { encodeMessage } from './message.ts';
import { decodeSocket, encodeSocketLookup, type SocketLookup } from './sock-diag.ts';
import { decodeFoundSocket, SocketLookupMessage } from './socket-lookup.ts';

const SEQUENCE = 7;
const port = fc.integer({ min: 0, max: 0xffff });
const address = (family: 4 | 6) =>
  fc.bigInt({ min: 0n, max: family === 4 ? 0xffff_ffffn : (1n << 128n) - 1n }).map((value) => ({ family, value }));
const lookup: fc.Arbitrary<SocketLookup> = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record({
    protocol: fc.constantFrom(6, 17, 132, 136),
    local: address(family),
    localPort: port,
    remote: address(family),
    remotePort: port,
    interfaceIndex: fc.integer({ min: 0, max: 0x7fff_ffff }),
  }),
);

/** As received: message and port id of the asking socket. */
function received(name: Parameters<typeof capturedMessage>[0]): Uint8Array {
  return encodeMessage({ ...capturedMessage(name), sequence: SEQUENCE });
}

describe('SocketLookupMessage', () => {
  it('SocketLookupMessage.set() is the whole message of encodeSocketLookup(), whatever was asked before', () => {
    const message = new SocketLookupMessage();
    fc.assert(
      fc.property(lookup, fc.nat(), (asked, sequence) => {
        expect([...message.set(asked, sequence)]).toEqual([
          ...encodeMessage({ ...encodeSocketLookup(asked), sequence }),
        ]);
      }),
    );
  });

  it('SocketLookupMessage.set() refuses addresses of two families', () => {
    const mixed = { protocol: 6, localPort: 1, remotePort: 2 } as const;
    const [local, remote] = [{ family: 4, value: 1n } as const, { family: 6, value: 1n } as const];
    expect(() => new SocketLookupMessage().set({ ...mixed, local, remote }, 1)).toThrow(RangeError);
  });
});

describe('decodeFoundSocket()', () => {
  it('decodeFoundSocket() reads of a captured socket what decodeSocket() reads', () => {
    const { state, cookie, uid, inode, cgroupId } = decodeSocket(capturedMessage('socketUdp'));
    expect(cgroupId).toBeDefined();
    expect(decodeFoundSocket(received('socketUdp'), SEQUENCE)).toEqual({ state, cookie, uid, inode, cgroupId });
  });

  it('decodeFoundSocket() takes no answer to another question, and no error', () => {
    expect(decodeFoundSocket(received('socketUdp'), SEQUENCE + 1)).toBeUndefined();
    const error = encodeMessage({ type: 2, flags: 0, body: new Uint8Array(20), sequence: SEQUENCE });
    expect(decodeFoundSocket(error, SEQUENCE)).toBeUndefined();
  });

  it('decodeFoundSocket() throws nothing but DecodeError for what is cut off or changed', () => {
    const whole = received('socketUdp');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: whole.length }),
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
        (length, changes) => {
          const bytes = whole.slice();
          for (const [offset, value] of changes) bytes[offset] = value;
          try {
            decodeFoundSocket(bytes.subarray(0, length), SEQUENCE);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        },
      ),
    );
  });
});
