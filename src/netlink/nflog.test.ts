import { describe, expect, it } from 'vitest';
import { decodePacket } from '../net/packet.ts';
import { capturedMessage } from './captured-messages.ts';
import { encodeMessage, type NetlinkRequest } from './message.ts';
import {
  decodeLoggedPacket,
  encodeLogBatching,
  encodeLogBind,
  encodeLogMode,
  encodeLogUnbind,
  NFLOG_PACKET,
  NFULNL_COPY_PACKET,
} from './nflog.ts';

function hex(request: NetlinkRequest): string {
  return Buffer.from(encodeMessage({ ...request, sequence: 1 })).toString('hex');
}

describe('decodeLoggedPacket()', () => {
  it('reads prefix, mark, owner and packet', () => {
    const message = capturedMessage('loggedPacket');
    expect(message.type).toBe(NFLOG_PACKET);
    const { payload, ...packet } = decodeLoggedPacket(message);
    const owner = { ifIndexOut: 1, uid: 0, gid: 0 };
    expect(packet).toEqual({ group: 9, hook: 3, hwProtocol: 0x0800, prefix: 'pm: ', mark: 0x81000001, ...owner });
    expect(decodePacket(payload)).toMatchObject({ protocol: 17, sourcePort: 4444, destinationPort: 5555 });
  });
});

describe('group configuration', () => {
  // Each of these was accepted by a 6.18 kernel, which then sent the packet above.
  it('binds and unbinds', () => {
    expect(hex(encodeLogBind(9))).toBe('1c00000001040500010000000000000000000009' + '0500010001000000');
    expect(hex(encodeLogUnbind(9))).toBe('1c00000001040500010000000000000000000009' + '0500010002000000');
  });

  it('sets the copy mode', () => {
    const request = encodeLogMode(9, { copyMode: NFULNL_COPY_PACKET, copyRange: 64 });
    expect(hex(request)).toBe('2000000001040500010000000000000000000009' + '0a0002000000004002000000');
  });

  it('rounds the time-out up to whole hundredths of a second', () => {
    const request = encodeLogBatching(9, { packets: 1, timeoutMs: 95 });
    expect(hex(request)).toBe('2400000001040500010000000000000000000009' + '0800050000000001' + '080004000000000a');
  });
});
