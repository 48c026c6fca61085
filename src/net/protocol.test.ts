import { describe, expect, it } from 'vitest';
import { IPPROTO_ICMPV6, IPPROTO_TCP, protocolHasPorts, protocolName, protocolNumber } from './protocol.ts';

const everyProtocol = Array.from({ length: 256 }, (_, protocol) => protocol);

describe('protocolName()', () => {
  it('protocolName() gives the usual names, and the number where there is none', () => {
    expect([1, 6, 17, 47, 50, 58, 132, 136, 254].map(protocolName)).toEqual([
      'icmp',
      'tcp',
      'udp',
      'gre',
      'esp',
      'icmpv6',
      'sctp',
      'udplite',
      '254',
    ]);
  });

  it('protocolName() is undone by protocolNumber() for every protocol', () => {
    expect(everyProtocol.map((protocol) => protocolNumber(protocolName(protocol)))).toEqual(everyProtocol);
  });
});

describe('protocolNumber()', () => {
  it('protocolNumber() reads names, second names and numbers', () => {
    expect(['tcp', 'icmpv6', 'ipv6-icmp', '6', '0'].map(protocolNumber)).toEqual([
      IPPROTO_TCP,
      IPPROTO_ICMPV6,
      IPPROTO_ICMPV6,
      6,
      0,
    ]);
  });

  it.each(['', 'TCP', 'tcp ', '256', '-1', '06', '6.0', 'toString', 'constructor'])(
    'protocolNumber() refuses %j',
    (name) => {
      expect(protocolNumber(name)).toBeUndefined();
    },
  );
});

describe('protocolHasPorts()', () => {
  it('protocolHasPorts() holds for TCP, UDP, DCCP, SCTP and UDP-Lite only', () => {
    expect(everyProtocol.filter(protocolHasPorts)).toEqual([6, 17, 33, 132, 136]);
  });
});
