import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CAPTURED, type CapturedName, capturedBytes, capturedMessage } from './captured-messages.ts';
import { decodeConntrackEvent } from './conntrack.ts';
import { DecodeError } from './errors.ts';
import { decodeFamilyAnswer } from './generic.ts';
import { decodeLink } from './link.ts';
import { decodeLinkAddress } from './link-address.ts';
import { decodeAcknowledgement, decodeMessages, type NetlinkMessage } from './message.ts';
import { decodeNamespaceId } from './namespace-id.ts';
import { decodeNeighbour } from './neighbour.ts';
import { decodeLoggedPacket } from './nflog.ts';
import { decodeQueuePacket } from './nfqueue.ts';
import { decodeGeneration } from './nftables.ts';
import { decodeElements } from './nftables-element.ts';
import { decodeInterface } from './nl80211.ts';
import { decodeRoute } from './route.ts';
import { decodeRule } from './routing-rule.ts';
import { decodeSocket } from './sock-diag.ts';

const DECODERS: Readonly<Record<string, (message: NetlinkMessage) => unknown>> = {
  link: decodeLink,
  neighbour: decodeNeighbour,
  generic: decodeFamilyAnswer,
  wireless: (message) => decodeInterface(message, 32),
  namespace: decodeNamespaceId,
  address: decodeLinkAddress,
  route: decodeRoute,
  rule: decodeRule,
  queue: (message) => decodeQueuePacket(message.body),
  socket: decodeSocket,
  logged: decodeLoggedPacket,
  conntrack: decodeConntrackEvent,
  elements: decodeElements,
  generation: decodeGeneration,
  error: decodeAcknowledgement,
  acknowledged: decodeAcknowledgement,
};

const NAMES = Object.keys(CAPTURED) as CapturedName[];

function decoderOf(name: CapturedName): (message: NetlinkMessage) => unknown {
  const prefix = /^[a-z]+/.exec(name)?.[0] ?? '';
  const decoder = DECODERS[prefix];
  if (decoder === undefined) throw new Error(`no decoder for ${name}`);
  return decoder;
}

/** Whether it decoded; any error but DecodeError is let through. */
function decodes(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

describe('decoders', () => {
  it.each(NAMES)('decode %s', (name) => {
    expect(decodes(() => decoderOf(name)(capturedMessage(name)))).toBe(true);
  });

  it.each(NAMES)('give only DecodeError for %s cut off at any length', (name) => {
    const message = capturedMessage(name);
    const outcomes = Array.from({ length: message.body.length }, (_, length) =>
      decodes(() => decoderOf(name)({ ...message, body: message.body.slice(0, length) })),
    );
    expect(outcomes[0]).toBe(false);
    expect(outcomes[3]).toBe(false);
  });

  it.each(NAMES)('give only DecodeError for %s with bytes overwritten', (name) => {
    const message = capturedMessage(name);
    const change = fc.tuple(fc.nat(message.body.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const body = message.body.slice();
        for (const [offset, byte] of changes) body[offset] = byte;
        decodes(() => decoderOf(name)({ ...message, body }));
      }),
    );
  });

  it.each(NAMES)('give only DecodeError for random bytes in the place of %s', (name) => {
    const message = capturedMessage(name);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        decodes(() => decoderOf(name)({ ...message, body }));
      }),
    );
  });

  it('refuse a message of another family', () => {
    const other = capturedMessage('generation');
    for (const decode of [
      decodeLink,
      decodeNeighbour,
      decodeLinkAddress,
      decodeRoute,
      decodeRule,
      decodeSocket,
      decodeLoggedPacket,
    ]) {
      expect(() => decode(other)).toThrow(DecodeError);
    }
    expect(() => decodeGeneration(capturedMessage('routeV6'))).toThrow(DecodeError);
    expect(() => decodeElements(other)).toThrow(DecodeError);
    expect(() => decodeConntrackEvent(other)).toThrow(DecodeError);
  });
});

describe('decodeMessages()', () => {
  it('gives only DecodeError for a datagram cut off at any length', () => {
    const datagram = capturedBytes('socketTcp');
    for (let length = 1; length < datagram.length; length++) {
      expect(() => decodeMessages(datagram.slice(0, length))).toThrow(DecodeError);
    }
  });

  it('gives only DecodeError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (datagram) => {
        decodes(() => decodeMessages(datagram));
      }),
    );
  });
});
