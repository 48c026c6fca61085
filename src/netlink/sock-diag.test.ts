import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import { capturedMessage } from './captured-messages.ts';
import {
  ALL_SOCKET_STATES,
  decodeSocket,
  encodeSocketDump,
  encodeSocketLookup,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_SYN_SENT,
} from './sock-diag.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const NO_COOKIE = 'ffffffffffffffff';
const FLOW = { local: address('10.0.0.1'), localPort: 0x1234, remote: address('192.0.2.9'), remotePort: 443 };
const LOCAL = '0a000001'.padEnd(32, '0');
const REMOTE = 'c0000209'.padEnd(32, '0');

describe('decodeSocket()', () => {
  it('reads an unconnected UDP socket', () => {
    expect(decodeSocket(capturedMessage('socketUdp'))).toEqual({
      family: 4,
      state: TCP_CLOSE,
      local: address('10.0.0.1'),
      localPort: 4444,
      remote: address('0.0.0.0'),
      remotePort: 0,
      interfaceIndex: 0,
      cookie: 25n,
      uid: 0,
      inode: 105216,
      mark: 0,
      cgroupId: 500n,
    });
  });

  it('reads both ends of an IPv6 socket', () => {
    const ends = { local: address('::1'), localPort: 4446, remote: address('::1'), remotePort: 5555 };
    expect(decodeSocket(capturedMessage('socketUdpV6'))).toMatchObject({ family: 6, state: TCP_ESTABLISHED, ...ends });
  });

  it('tells a socket that does both families', () => {
    expect(decodeSocket(capturedMessage('socketDual'))).toMatchObject({ family: 6, v6Only: false });
  });

  it('reads state and mark of a connecting TCP socket', () => {
    const expected = { state: TCP_SYN_SENT, mark: 0x1234, remotePort: 6666, cookie: 28n };
    expect(decodeSocket(capturedMessage('socketTcp'))).toMatchObject(expected);
  });
});

describe('encodeSocketLookup()', () => {
  it('asks for TCP with the local end as source', () => {
    const { body } = encodeSocketLookup({ protocol: 6, ...FLOW });
    expect(hex(body)).toBe(`02060000ffffffff123401bb${LOCAL}${REMOTE}00000000${NO_COOKIE}`);
  });

  it('asks for UDP the other way round, as the kernel wants it', () => {
    const { body } = encodeSocketLookup({ protocol: 17, ...FLOW, interfaceIndex: 3 });
    expect(hex(body)).toBe(`02110000ffffffff01bb1234${REMOTE}${LOCAL}03000000${NO_COOKIE}`);
  });

  it('refuses addresses of two families', () => {
    expect(() => encodeSocketLookup({ protocol: 6, ...FLOW, remote: address('::1') })).toThrow(RangeError);
  });
});

describe('encodeSocketDump()', () => {
  it('names family, protocol and states', () => {
    const { flags, body } = encodeSocketDump({ family: 6, protocol: 6, states: 1 << TCP_LISTEN });
    expect(flags).toBe(0x301);
    expect(hex(body)).toBe(`0a06000000040000${'0'.repeat(80)}${NO_COOKIE}`);
  });

  it('names the protocol of raw sockets', () => {
    const dump = { family: 4, protocol: 255, states: ALL_SOCKET_STATES, rawProtocol: 1 } as const;
    expect(hex(encodeSocketDump(dump).body.subarray(0, 8))).toBe('02ff0001ffffffff');
  });
});
