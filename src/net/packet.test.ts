import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from './address.ts';
import { crc32c, internetChecksum } from './checksum.ts';
import { type Flow, formatFlow } from './flow.ts';
import { decodePacket, encodePacket, PacketError } from './packet.ts';
import { IPPROTO_TCP, protocolHasPorts } from './protocol.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`test data: ${text}`);
  return parsed;
}

/** First bytes of packets that a Linux kernel sent over veth, with the line that they must read as. */
const CAPTURED: readonly (readonly [name: string, bytes: string, line: string])[] = [
  [
    'a TCP SYN',
    '4500003c589040004006ce170a0900010a0900029c4101bb3e0d246100000000a002faf014430000020405b40402080af245824a000000000103030a',
    'tcp 10.9.0.1:40001 -> 10.9.0.2:443',
  ],
  [
    'a TCP SYN over IPv6 with a flow label',
    '600ee61b00280640fd090000000000000000000000000001fd0900000000000000000000000000029c4101bb824c2c2000000000a002fd20fa440000',
    'tcp [fd09::1]:40001 -> [fd09::2]:443',
  ],
  [
    'a UDP datagram',
    '4500002080e040004011a5d80a0900010a0900029c4014e9000c143278787878',
    'udp 10.9.0.1:40000 -> 10.9.0.2:5353',
  ],
  [
    'a first IPv4 fragment',
    '450005dc80e120004011c01b0a0900010a0900029c4014e907d894697878787878787878',
    'udp 10.9.0.1:40000 -> 10.9.0.2:5353',
  ],
  [
    'a later IPv4 fragment, whose payload is no header',
    '4500022480e100b94011e31a0a0900010a090002787878787878787878787878',
    'udp 10.9.0.1 -> 10.9.0.2',
  ],
  [
    'a first IPv6 fragment',
    '6000ce3a05b02c40fd090000000000000000000000000001fd0900000000000000000000000000021100 0001d0a99586 9c4014e907d8ae67',
    'udp [fd09::1]:40000 -> [fd09::2]:5353',
  ],
  [
    'a later IPv6 fragment',
    '6000ce3a02382c40fd090000000000000000000000000001fd0900000000000000000000000000021100 05a8d0a99586 7878787878787878',
    'udp fd09::1 -> fd09::2',
  ],
  [
    'IGMP with the router alert option',
    '46c00028000040000102f9ef0a090001e0000016940400002200e8f90000000104000000ef010203',
    'igmp 10.9.0.1 -> 224.0.0.22',
  ],
  [
    'MLD behind a hop-by-hop header',
    '6000000000240001fe800000000000005c9492fffe658d60ff0200000000000000000000000000163a000502000001008f0067e90000000104000000',
    'icmpv6 fe80::5c94:92ff:fe65:8d60 -> ff02::16 type 143 code 0',
  ],
  [
    'a ping',
    '45000054951a40004001917a0a0900010a0900020800abd317c900018650036b00000000e0d30b0000000000',
    'icmp 10.9.0.1 -> 10.9.0.2 type 8 code 0 id 6089',
  ],
  [
    'a ping over IPv6',
    '600087a400403a40fd090000000000000000000000000001fd0900000000000000000000000000028000e33517ca00018750036b0000000035df0b00',
    'icmpv6 fd09::1 -> fd09::2 type 128 code 0 id 6090',
  ],
];

const port = fc.nat(65535);
const v4Address: fc.Arbitrary<Address> = fc.nat(0xffffffff).map((value) => ({ family: 4, value: BigInt(value) }));
const v6Address: fc.Arbitrary<Address> = fc.bigInt(0n, (1n << 128n) - 1n).map((value) => ({ family: 6, value }));
const protocolNumbers = fc.oneof(fc.constantFrom(1, 6, 17, 33, 51, 58, 132, 136), fc.nat(255));

/** Every kind of flow that a packet can show, with its later-fragment form. */
const anyFlow: fc.Arbitrary<Flow> = fc
  .record({
    ends: fc.oneof(fc.tuple(v4Address, v4Address), fc.tuple(v6Address, v6Address)),
    protocol: protocolNumbers,
    ports: fc.tuple(port, port),
    icmp: fc.record({
      type: fc.oneof(fc.constantFrom(0, 8, 128, 129), fc.nat(255)),
      code: fc.nat(255),
      identifier: port,
    }),
    isLaterFragment: fc.boolean(),
    loopback: fc.boolean(),
  })
  .map(({ ends: [source, destination], protocol, ports, icmp, isLaterFragment, loopback }) => {
    const flow: Flow = { protocol, source, destination, loopback };
    if (isLaterFragment) return flow;
    if (protocolHasPorts(protocol)) return { ...flow, sourcePort: ports[0], destinationPort: ports[1] };
    if (protocol !== (source.family === 4 ? 1 : 58)) return flow;
    const { type, code, identifier } = icmp;
    const isEcho = (source.family === 4 ? [0, 8] : [128, 129]).includes(type);
    return { ...flow, icmp: isEcho ? { type, code, identifier } : { type, code } };
  });

const tcp: Flow = {
  protocol: 6,
  source: address('fd00::1'),
  destination: address('fd00::2'),
  sourcePort: 4000,
  destinationPort: 443,
  loopback: false,
};

/** An IPv6 packet with extension headers, each `[protocol, bytes without its next-header field]`, before a TCP header. */
function withExtensions(extensions: readonly (readonly [protocol: number, rest: string])[]): Uint8Array {
  const plain = encodePacket(tcp);
  const protocols = [...extensions.map(([protocol]) => protocol), 6];
  const headers = extensions.flatMap(([, rest], index) => [protocols[index + 1] ?? 0, ...hex(rest)]);
  const packet = Uint8Array.from([...plain.subarray(0, 40), ...headers, ...plain.subarray(40)]);
  packet[5] = packet.length - 40;
  packet[6] = protocols[0] ?? 0;
  return packet;
}

const flowOf = (source: string, destination: string): Flow => ({
  protocol: IPPROTO_TCP,
  source: address(source),
  destination: address(destination),
  sourcePort: 40_000,
  destinationPort: 443,
  loopback: false,
});

describe('decodePacket()', () => {
  it.each(CAPTURED)('decodePacket() reads %s', (_, bytes, line) => {
    expect(formatFlow(decodePacket(hex(bytes)))).toBe(line);
  });

  it('tells a TCP segment that opens a connection from one in mid-stream', () => {
    const opening = flowOf('10.0.0.1', '10.0.0.2');
    const midstream = { ...opening, midstream: true } as const;
    expect(decodePacket(encodePacket(opening)).midstream).toBeUndefined();
    expect(decodePacket(encodePacket(midstream))).toEqual(midstream);
  });

  it('decodePacket() takes loopback from the caller only', () => {
    const packet = encodePacket({ ...tcp, source: address('::1'), destination: address('::1') });
    expect(decodePacket(packet).loopback).toBe(false);
    expect(decodePacket(packet, { loopback: true }).loopback).toBe(true);
  });

  it('decodePacket() skips hop-by-hop, routing, destination options, first fragment and AH', () => {
    const packet = withExtensions([
      [0, '00 050200000100'],
      [60, '01 010c0000000000000000000000 00'],
      [43, '00 040000000000'],
      [44, '00 0001 00000001'],
      [51, '04 0000 00000001 00000001 000000000000000000000000'],
      [60, '00 010400000000'],
    ]);
    expect(decodePacket(packet)).toEqual(tcp);
  });

  it('decodePacket() skips 40 bytes of IPv4 options', () => {
    const packet = hex(`4f000040 00004000 40060000 0a090001 0a090002 ${'01'.repeat(40)} 9c41 01bb`);
    expect(formatFlow(decodePacket(packet))).toBe('tcp 10.9.0.1:40001 -> 10.9.0.2:443');
  });

  it('decodePacket() takes 8 extension headers and refuses 9', () => {
    const padding = [60, '00 010400000000'] as const;
    expect(decodePacket(withExtensions(Array.from({ length: 8 }, () => padding)))).toEqual(tcp);
    expect(() => decodePacket(withExtensions(Array.from({ length: 9 }, () => padding)))).toThrow(PacketError);
  });

  it('decodePacket() does not read padding behind the packet as its ports', () => {
    const packet = hex('45000016 00004000 40110000 0a090001 0a090002 9c40 14e9 0000 0000');
    expect(() => decodePacket(packet)).toThrow(PacketError);
  });

  it('decodePacket() reads packets whose length field says 0, as those of BIG TCP do', () => {
    for (const source of ['10.0.0.1', 'fd00::1'].map(address)) {
      const packet = encodePacket({ ...tcp, source, destination: source });
      packet.fill(0, source.family === 4 ? 2 : 4, source.family === 4 ? 4 : 6);
      expect(decodePacket(packet)).toEqual({ ...tcp, source, destination: source });
    }
  });

  it('decodePacket() sees no ICMP in the other family', () => {
    const v4 = { source: address('10.0.0.1'), destination: address('10.0.0.2'), loopback: false };
    expect(decodePacket(encodePacket({ ...v4, protocol: 58 }))).toEqual({ ...v4, protocol: 58 });
  });

  it.each([
    ['nothing', ''],
    ['IP version 5', '55000014000040004006000000000000000000000000'],
    ['an IPv4 header length below 20', '44000014000040004006000000000000000000000000'],
    ['IPv4 options that the copy cuts off', '4f00003c0000400040060000000000000000000000000000'],
    ['an IPv4 total length of 5', '450000050000400040060000000000000000000000000000'],
    ['an IPv4 total length below its header', '4500000a0000400040060000000000000000000000000000'],
    ['a ping without identifier', '450000180000400040010000 00000000 00000000 08000000'],
  ])('decodePacket() refuses %s', (_, bytes) => {
    expect(() => decodePacket(hex(bytes))).toThrow(PacketError);
  });

  it('decodePacket() of a copy of any length gives the flow or PacketError, and never another flow', () => {
    const property = fc.property(anyFlow, fc.nat(100), (flow, length) => {
      const packet = encodePacket(flow).subarray(0, length);
      const decoded = flowOrError(packet, flow);
      if (!(decoded instanceof PacketError)) expect(decoded).toEqual(flow);
      // IP header, fragment header, and as much of the transport header as names the flow.
      if (length >= 54) expect(decoded).toEqual(flow);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('decodePacket() of random bytes gives a flow or PacketError', () => {
    const body = fc.uint8Array({ maxLength: 120 });
    const random = fc
      .tuple(fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0), body)
      .map(([first, rest]) => Uint8Array.of(first, ...rest));
    const damaged = fc.tuple(anyFlow, fc.nat(60), fc.nat(255)).map(([flow, at, byte]) => {
      const packet = encodePacket(flow);
      packet[at % packet.length] = byte;
      return packet;
    });
    const outcomes = { flow: 0, error: 0 };
    const property = fc.property(fc.oneof(random, damaged), (bytes) => {
      outcomes[flowOrError(bytes) instanceof PacketError ? 'error' : 'flow']++;
    });
    fc.assert(property, { numRuns: 2000 });
    expect(Math.min(outcomes.flow, outcomes.error)).toBeGreaterThan(100);
  });
});

describe('encodePacket()', () => {
  it('encodePacket() is undone by decodePacket(), also at an offset in a larger buffer', () => {
    const property = fc.property(anyFlow, (flow) => {
      const packet = encodePacket(flow);
      const larger = new Uint8Array(packet.length + 5);
      larger.set(packet, 5);
      expect(decodePacket(larger.subarray(5), flow)).toEqual(flow);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('encodePacket() writes right lengths and checksums', () => {
    const property = fc.property(anyFlow, (flow) => {
      const packet = encodePacket(flow);
      const view = new DataView(packet.buffer);
      const isV4 = flow.source.family === 4;
      expect(isV4 ? view.getUint16(2) : view.getUint16(4) + 40).toBe(packet.length);
      if (isV4) expect(internetChecksum([packet.subarray(0, 20)])).toBe(0);
      if (flow.sourcePort === undefined && flow.icmp === undefined) return;
      expect(transportChecksumIsRight(flow, packet, isV4 ? 20 : 40)).toBe(true);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('encodePacket() never writes the UDP checksum 0, which means "none"', () => {
    const flow: Flow = { ...tcp, protocol: 17, sourcePort: 0, destinationPort: 0 };
    const before = new DataView(encodePacket(flow).buffer).getUint16(46);
    const packet = encodePacket({ ...flow, sourcePort: before });
    expect(new DataView(packet.buffer).getUint16(46)).toBe(0xffff);
  });

  it.each<[string, Partial<Flow>]>([
    ['mixed families', { source: address('10.0.0.1') }],
    ['a port above 65535', { destinationPort: 65536 }],
    ['ports in a protocol without', { protocol: 47 }],
    ['a protocol above 255', { protocol: 262 }],
    ['ICMP in TCP', { icmp: { type: 8, code: 0 } }],
    ['an IPv6 address of 129 bits', { source: { family: 6, value: 1n << 128n } }],
  ])('encodePacket() refuses %s', (_, wrong) => {
    expect(() => encodePacket({ ...tcp, ...wrong })).toThrow(RangeError);
  });

  it('encodePacket() refuses one port without the other, and an echo without identifier', () => {
    const { sourcePort, destinationPort, ...bare } = tcp;
    expect(() => encodePacket({ ...bare, destinationPort: 443 })).toThrow(RangeError);
    expect(() => encodePacket({ ...bare, protocol: 58, icmp: { type: 128, code: 0 } })).toThrow(RangeError);
    expect(() => encodePacket({ ...bare, protocol: 43, sourcePort: 1, destinationPort: 2 })).toThrow(RangeError);
  });
});

function flowOrError(bytes: Uint8Array, context?: { loopback: boolean }): Flow | PacketError {
  try {
    return decodePacket(bytes, context);
  } catch (error) {
    if (error instanceof PacketError) return error;
    throw error;
  }
}

function transportChecksumIsRight(flow: Flow, packet: Uint8Array, offset: number): boolean {
  const transport = packet.slice(offset);
  if (flow.protocol === 132) {
    const stored = new DataView(transport.buffer).getUint32(8, true);
    transport.fill(0, 8, 12);
    return crc32c(transport) === stored;
  }
  if (flow.protocol === 1) return internetChecksum([transport]) === 0;
  const addresses = packet.subarray(offset === 20 ? 12 : 8, offset);
  return internetChecksum([addresses, Uint8Array.of(0, flow.protocol, 0, transport.length), transport]) === 0;
}
