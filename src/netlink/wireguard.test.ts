import { describe, expect, it } from 'vitest';
import { addressToBytes, formatAddress, parseAddress } from '../net/address.ts';
import { encodeAttribute, encodeNested, encodeString, encodeU32 } from './attribute.ts';
import { concatBytes, u16, u16Be, u32 } from './bytes.ts';
import { encodeGeneric } from './generic.ts';
import { decodeWireGuard, encodeWireGuardDump } from './wireguard.ts';

const FAMILY = 0x1c;

function endpoint(text: string): Uint8Array {
  const address = parseAddress(text) ?? expect.fail(text);
  const head = [u16(address.family === 4 ? 2 : 10), u16Be(51820)];
  const bytes = addressToBytes(address);
  return address.family === 4
    ? concatBytes([...head, bytes, new Uint8Array(8)])
    : concatBytes([...head, u32(0), bytes, u32(0)]);
}

const peer = (number: number, ...endpoints: readonly string[]): Uint8Array =>
  encodeNested(number, [
    encodeAttribute(1, new Uint8Array(32).fill(7)),
    ...endpoints.map((text) => encodeAttribute(4, endpoint(text))),
    encodeNested(9, []),
  ]);

function answer(...attributes: readonly Uint8Array[]) {
  const { body, type } = encodeGeneric({ family: FAMILY, command: 0, flags: 0 }, attributes);
  return { type, flags: 2, sequence: 1, portId: 0, body };
}

describe('decodeWireGuard', () => {
  it('decodeWireGuard finds the endpoints of peers, and the mark of their packets', () => {
    const peers = encodeNested(8, [peer(0, '198.51.100.9'), peer(1), peer(2, '2001:db8::9')]);
    const found = decodeWireGuard(
      answer(encodeU32(1, 5), encodeString(2, 'wg0'), encodeAttribute(6, u16(51_821)), encodeU32(7, 0xca6c), peers),
      FAMILY,
    );
    expect({ ...found, endpoints: found.endpoints.map(formatAddress) }).toEqual({
      device: 'wg0',
      port: 51_821,
      mark: 0xca6c,
      endpoints: ['198.51.100.9', '2001:db8::9'],
    });
  });

  it('decodeWireGuard refuses an endpoint that is cut off, or of a family that it cannot be of', () => {
    const cut = encodeNested(8, [encodeNested(0, [encodeAttribute(4, endpoint('198.51.100.9').subarray(0, 6))])]);
    const odd = encodeNested(8, [encodeNested(0, [encodeAttribute(4, u32(1))])]);
    for (const peers of [cut, odd]) expect(() => decodeWireGuard(answer(peers), FAMILY)).toThrow('an endpoint');
  });

  it('encodeWireGuardDump asks for one device', () => {
    expect(encodeWireGuardDump(FAMILY, 5)).toMatchObject({ type: FAMILY, flags: 0x301 });
  });
});
