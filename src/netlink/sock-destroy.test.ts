import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import { encodeMessage } from './message.ts';
import { encodeSocketDestroy } from './sock-destroy.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** strace of iproute2 6.1. */
const SS_SEQUENCE = 1_795_653_791;
const V4 = { local: address('127.0.0.1'), localPort: 41_234, remote: address('127.0.0.1'), remotePort: 7777 };
const V6 = { local: address('::1'), localPort: 50_001, remote: address('::1'), remotePort: 7779 };

describe('encodeSocketDestroy()', () => {
  it('is what ss -K -t sends', () => {
    const request = encodeSocketDestroy({ protocol: 6, ...V4, cookie: 234_067n });
    expect(hex(encodeMessage({ ...request, sequence: SS_SEQUENCE }))).toBe(
      '48000000150005009f80076b000000000206000000000000a1121e617f0000010000000000000000000000007f0000010000' +
        '00000000000000000000000000005392030000000000',
    );
  });

  it('is what ss -K -u -6 sends: for UDP too the local end comes first', () => {
    const request = encodeSocketDestroy({ protocol: 17, ...V6, cookie: 230_980n });
    expect(hex(encodeMessage({ ...request, sequence: SS_SEQUENCE }))).toBe(
      '48000000150005009f80076b000000000a11000000000000c3511e6300000000000000000000000000000001000000000000' +
        '00000000000000000001000000004486030000000000',
    );
  });

  it('names the device that a socket is bound to', () => {
    const { body } = encodeSocketDestroy({ protocol: 6, ...V4, interfaceIndex: 3, cookie: 1n });
    expect(hex(body.subarray(44, 56))).toBe('030000000100000000000000');
  });

  it('refuses addresses of two families', () => {
    expect(() => encodeSocketDestroy({ protocol: 6, ...V4, remote: V6.remote, cookie: 1n })).toThrow(RangeError);
  });
});
