import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeNeighbour, encodeNeighbourGet, encodeNeighbourProbe, encodeNeighbourUse } from './neighbour.ts';

const address = (text: string) => parseAddress(text) ?? expect.fail(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('decodeNeighbour()', () => {
  it.each([
    ['neighbourReachable', '192.0.2.1', '00:00:5e:00:53:01', 330],
    ['neighbourV6', '2001:db8::1', '00:00:5e:00:53:01', 310],
    ['neighbourPermanent', '192.0.2.7', '00:00:5e:00:53:07', 0],
    ['neighbourIncomplete', '192.0.2.9', undefined, undefined],
    ['neighbourFailed', '192.0.2.9', undefined, undefined],
    ['neighbourDeleted', '192.0.2.1', undefined, undefined],
  ] as const)('decodeNeighbour() reads %s', (name, of, hardwareAddress, confirmedAgoMs) => {
    const known = hardwareAddress !== undefined && { hardwareAddress, confirmedAgoMs };
    expect(decodeNeighbour(capturedMessage(name))).toEqual({
      linkIndex: 3,
      address: address(of),
      isPermanent: name === 'neighbourPermanent',
      isStale: false,
      ...known,
    });
  });

  it.each([
    [0x04, true, true],
    [0x08, true, false],
    [0x10, true, false],
    [0x01, false, false],
    [0x20, false, false],
    [0x40, false, false],
    [0x00, false, false],
  ])('decodeNeighbour() of the state %i: known %s, stale %s', (state, isKnown, isStale) => {
    const message = capturedMessage('neighbourReachable');
    const body = message.body.slice();
    body[8] = state;
    const neighbour = decodeNeighbour({ ...message, body });
    expect([neighbour.hardwareAddress !== undefined, neighbour.isStale]).toEqual([isKnown, isStale]);
  });

  it('decodeNeighbour() refuses entries of a bridge', () => {
    const message = capturedMessage('neighbourReachable');
    const body = message.body.slice();
    body[0] = 7;
    expect(() => decodeNeighbour({ ...message, body })).toThrow(DecodeError);
  });
});

describe('encodeNeighbourUse()', () => {
  const key = { linkIndex: 3, address: address('192.0.2.1') };

  it('encodeNeighbourUse() makes an entry only where it is to be new', () => {
    const body = '02000000030000000000010008000100c0000201';
    const made = encodeNeighbourUse(key, { isThere: false });
    const used = encodeNeighbourUse(key, { isThere: true });
    expect([made.type, made.flags, hex(made.body)]).toEqual([28, 0x605, body]);
    expect([used.type, used.flags, hex(used.body)]).toEqual([28, 0x005, body]);
  });

  it('encodeNeighbourProbe() asks of one that is there, and says nothing else of it', () => {
    const { type, flags, body } = encodeNeighbourProbe(key);
    expect([type, flags, hex(body)]).toEqual([28, 0x005, '02000000030000001000000008000100c0000201']);
  });

  it('encodeNeighbourGet() asks for one entry', () => {
    const { type, flags, body } = encodeNeighbourGet(key);
    expect([type, flags, hex(body)]).toEqual([30, 0x001, '02000000030000000000000008000100c0000201']);
  });
});
