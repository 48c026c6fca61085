import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { decodeAttributes } from './attribute.ts';
import { capturedMessage } from './captured-messages.ts';
import {
  decodeConntrackEntry,
  decodeConntrackEvent,
  encodeConntrackDelete,
  encodeConntrackDump,
  encodeConntrackGet,
  encodeConntrackMark,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_SEEN_REPLY,
} from './conntrack.ts';
import { NFGENMSG_BYTES } from './nfnetlink.ts';

const HOST = parseAddress('10.0.0.1');

/** Attributes of a request by number, in hexadecimal. */
function attributes(body: Uint8Array): Record<number, string> {
  const entries = [...decodeAttributes(body, NFGENMSG_BYTES)];
  return Object.fromEntries(entries.map(([type, payload]) => [type, Buffer.from(payload).toString('hex')]));
}

describe('decodeConntrackEntry()', () => {
  it('reads an established TCP connection', () => {
    expect(decodeConntrackEntry(capturedMessage('conntrackTcp'))).toEqual({
      original: { protocol: 6, source: HOST, destination: HOST, sourcePort: 59216, destinationPort: 6666 },
      reply: { protocol: 6, source: HOST, destination: HOST, sourcePort: 6666, destinationPort: 59216 },
      id: 3851956508,
      mark: 0,
      zone: 0,
      status: IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED,
      timeoutSeconds: 431999,
      tcpState: 3,
      counters: { original: { packets: 2n, bytes: 112n }, reply: { packets: 1n, bytes: 60n } },
    });
  });

  it('reads an IPv6 flow and its mark', () => {
    const entry = decodeConntrackEntry(capturedMessage('conntrackUdpV6'));
    expect(entry.original).toMatchObject({ source: parseAddress('::1'), sourcePort: 4446, destinationPort: 5555 });
    expect(entry.mark).toBe(0x81000002);
  });

  it('reads ICMP and ICMPv6', () => {
    const v4 = decodeConntrackEntry(capturedMessage('conntrackIcmp'));
    expect(v4.original).toMatchObject({ protocol: 1, icmp: { type: 8, code: 0, identifier: 30095 } });
    expect(v4.reply.icmp?.type).toBe(0);
    const v6 = decodeConntrackEntry(capturedMessage('conntrackIcmpV6'));
    expect(v6.original).toMatchObject({ protocol: 58, icmp: { type: 128, code: 0, identifier: 30096 } });
    expect(v6.reply.icmp?.type).toBe(129);
  });
});

describe('decodeConntrackEvent()', () => {
  it('tells the kinds apart', () => {
    const names = ['conntrackEventNew', 'conntrackEventUpdate', 'conntrackEventDestroy'] as const;
    const kinds = names.map((name) => decodeConntrackEvent(capturedMessage(name)).kind);
    expect(kinds).toEqual(['new', 'update', 'destroy']);
  });

  it('reads the last mark of a destroyed entry', () => {
    const { entry } = decodeConntrackEvent(capturedMessage('conntrackEventDestroy'));
    expect(entry).toMatchObject({ mark: 0x81050001, status: IPS_CONFIRMED | IPS_DYING });
  });
});

describe('requests about one entry', () => {
  const { original, id } = decodeConntrackEntry(capturedMessage('conntrackIcmp'));
  const tuple = attributes(capturedMessage('conntrackIcmp').body)[1];

  it('name it by the tuple as the kernel wrote it', () => {
    expect(attributes(encodeConntrackGet({ original }).body)).toEqual({ 1: tuple });
  });

  it('change the mark under a mask and create nothing', () => {
    const request = encodeConntrackMark({ original }, { value: 0x50000, mask: 0xff0000 });
    expect(request).toMatchObject({ type: 0x0100, flags: 0x005 });
    expect(attributes(request.body)).toEqual({ 1: tuple, 8: '00050000', 21: '00ff0000' });
  });

  it('delete only the entry with that id', () => {
    const request = encodeConntrackDelete({ original, id });
    expect(request).toMatchObject({ type: 0x0102, flags: 0x005 });
    expect(attributes(request.body)).toEqual({ 1: tuple, 12: id.toString(16).padStart(8, '0') });
  });

  it('name the zone where it is not 0', () => {
    expect(attributes(encodeConntrackGet({ original, zone: 5 }).body)).toEqual({ 1: tuple, 18: '0005' });
  });
});

describe('encodeConntrackDump()', () => {
  it('asks for all, or for one family and masked mark', () => {
    expect(encodeConntrackDump({})).toEqual({ type: 0x0101, flags: 0x301, body: new Uint8Array(4) });
    const { body } = encodeConntrackDump({ family: 6, mark: { value: 0x81000000, mask: 0xff000000 } });
    expect(body[0]).toBe(10);
    expect(attributes(body)).toEqual({ 8: '81000000', 21: 'ff000000' });
  });
});
