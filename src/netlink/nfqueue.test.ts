import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePacket } from '../net/packet.ts';
import { capturedBytes, capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { encodeMessage, type NetlinkRequest } from './message.ts';
import {
  decodeQueuePacket,
  encodeQueueBind,
  encodeQueueFlags,
  encodeQueueMaxLength,
  encodeQueueParams,
  encodeQueueUnbind,
  encodeVerdict,
  NFQA_CFG_F_GSO,
  NFQA_CFG_F_UID_GID,
  NFQNL_COPY_PACKET,
  NFQUEUE_PACKET,
  VerdictMessage,
} from './nfqueue.ts';
import { NF_ACCEPT, NF_DROP, NF_REPEAT } from './uapi.ts';

function hex(request: NetlinkRequest): string {
  return Buffer.from(encodeMessage({ ...request, sequence: 1 })).toString('hex');
}

describe('decodeQueuePacket()', () => {
  it('reads a packet that the copy range cut', () => {
    const message = capturedMessage('queuePacketCut');
    expect(message.type).toBe(NFQUEUE_PACKET);
    const { payload, ...packet } = decodeQueuePacket(message.body);
    const owner = { ifIndexOut: 1, uid: 0, gid: 0 };
    const expected = { queue: 7, packetId: 1, hook: 3, hwProtocol: 0x0800, mark: 0, ...owner };
    expect(packet).toEqual({ ...expected, capturedLength: 228 });
    expect(payload.length).toBe(128);
    expect(decodePacket(payload)).toMatchObject({ protocol: 17, sourcePort: 4444, destinationPort: 5555 });
  });

  it('reads an IPv6 packet, and takes the payload’s length where nothing was cut', () => {
    const packet = decodeQueuePacket(capturedMessage('queuePacketV6').body);
    expect(packet).toMatchObject({ packetId: 2, hwProtocol: 0x86dd, capturedLength: 51 });
    expect(packet.payload.length).toBe(51);
  });

  it('reads the mark', () => {
    expect(decodeQueuePacket(capturedMessage('queuePacketMarked').body).mark).toBe(0x1234);
  });

  it('reads in the middle of a receive buffer and gives a view of it, not a copy', () => {
    const datagram = capturedBytes('queuePacketMarked');
    const buffer = new Uint8Array(1000).fill(0xff);
    buffer.set(datagram, 40);
    const packet = decodeQueuePacket(buffer, 40 + 16, 40 + datagram.length);
    expect(packet).toEqual(decodeQueuePacket(datagram.subarray(16)));
    expect(packet.payload.buffer).toBe(buffer.buffer);
  });

  it('refuses a message without a packet header', () => {
    expect(() => decodeQueuePacket(new Uint8Array([2, 0, 0, 7]))).toThrow(DecodeError);
  });

  it('refuses an attribute that is shorter than its type, though bytes follow', () => {
    const mark = [6, 0, 3, 0, 0, 0, 0, 0];
    const header = [11, 0, 1, 0, 0, 0, 0, 1, 8, 0, 3, 0];
    expect(() => decodeQueuePacket(new Uint8Array([2, 0, 0, 7, ...mark, ...header]))).toThrow(DecodeError);
  });
});

describe('queue configuration', () => {
  // Each of these was accepted by a 6.18 kernel, which then showed the values in /proc/net/netfilter/nfnetlink_queue.
  it('binds and unbinds', () => {
    expect(hex(encodeQueueBind(7))).toBe('1c00000002030500010000000000000000000007' + '0800010001000000');
    expect(hex(encodeQueueUnbind(7))).toBe('1c00000002030500010000000000000000000007' + '0800010002000000');
  });

  it('sets the copy range in network order', () => {
    const request = encodeQueueParams(7, { copyMode: NFQNL_COPY_PACKET, copyRange: 128 });
    expect(hex(request)).toBe('2000000002030500010000000000000000000007' + '090002000000008002000000');
  });

  it('sets the length', () => {
    expect(hex(encodeQueueMaxLength(7, 4096))).toBe('1c00000002030500010000000000000000000007' + '0800030000001000');
  });

  it('sets flags under their mask', () => {
    const flags = NFQA_CFG_F_GSO | NFQA_CFG_F_UID_GID;
    const attributes = `${'080005000000000c'}${'080004000000000d'}`;
    expect(hex(encodeQueueFlags(7, { flags, mask: flags | 1 }))).toBe(
      `2400000002030500010000000000000000000007${attributes}`,
    );
  });
});

const u32Number = fc.integer({ min: 0, max: 0xffff_ffff });

describe('VerdictMessage', () => {
  it('gives the bytes of encodeVerdict(), whatever was set before', () => {
    const verdict = fc.record({
      packetId: u32Number,
      verdict: fc.constantFrom(NF_DROP, NF_ACCEPT, NF_REPEAT),
      mark: fc.option(u32Number, { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), fc.array(verdict), (queue, verdicts) => {
        const message = new VerdictMessage(queue);
        for (const { mark, ...rest } of verdicts) {
          const request = encodeVerdict({ queue, ...rest, ...(mark !== undefined && { mark }) });
          expect(message.set(rest.packetId, rest.verdict, mark)).toEqual(encodeMessage({ ...request, sequence: 0 }));
        }
      }),
    );
  });

  it('does not allocate: the same bytes are filled in again', () => {
    const message = new VerdictMessage(7);
    expect(message.set(1, NF_ACCEPT, 5)).toBe(message.set(2, NF_DROP, 6));
    expect(message.set(1, NF_ACCEPT)).toBe(message.set(2, NF_DROP));
  });
});

describe('encodeVerdict()', () => {
  it('writes what a kernel took as accept with a mark', () => {
    const request = encodeVerdict({ queue: 7, packetId: 1, verdict: NF_ACCEPT, mark: 0x81000001 });
    expect(hex(request)).toBe(
      '2800000001030100010000000000000000000007' + '0c0002000000000100000001' + '0800030081000001',
    );
  });
});
