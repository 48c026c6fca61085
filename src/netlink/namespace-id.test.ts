import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeNamespaceId, encodeNamespaceIdGet } from './namespace-id.ts';

describe('decodeNamespaceId()', () => {
  it('reads a number, which may be 0', () => {
    expect(decodeNamespaceId(capturedMessage('namespaceId'))).toBe(0);
  });

  it('reads that there is none', () => {
    const message = capturedMessage('namespaceId');
    const body = message.body.slice();
    body.fill(0xff, body.length - 4);
    expect(decodeNamespaceId({ ...message, body })).toBeUndefined();
  });

  it('throws DecodeError for an answer of another kind', () => {
    expect(() => decodeNamespaceId(capturedMessage('linkVeth'))).toThrow(DecodeError);
  });
});

describe('encodeNamespaceIdGet()', () => {
  it('asks by a process, as the kernel was asked for the captured answer', () => {
    const body = new Uint8Array([0, 0, 0, 0, 8, 0, 2, 0, 0xe7, 3, 0, 0]);
    expect(encodeNamespaceIdGet(999)).toEqual({ type: 90, flags: 0x01, body });
  });
});
