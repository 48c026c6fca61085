import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import { type Flow, formatFlow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type FlowQuery, matchesFlow, parseFlowQuery } from './flow-query.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function query(text: string): FlowQuery {
  const result = parseFlowQuery(text);
  if (!result.ok) throw new Error(result.message);
  return result.value;
}

const flow: Flow = {
  protocol: IPPROTO_TCP,
  source: address('10.0.0.1'),
  sourcePort: 4000,
  destination: address('192.0.2.1'),
  destinationPort: 443,
  loopback: false,
};
const flow6: Flow = { ...flow, source: address('2001:db8::7'), destination: address('2001:db8::1') };

const anyAddress = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffff_ffffn }).map((value): Address => ({ family: 4, value })),
  // Not the mapped ones, which are IPv4.
  fc.bigInt({ min: 1n << 64n, max: (1n << 128n) - 1n }).map((value): Address => ({ family: 6, value })),
);
const anyFlow = fc
  .record({ source: anyAddress, destination: anyAddress, port: fc.nat(65535), isIcmp: fc.boolean() })
  .filter(({ source, destination }) => source.family === destination.family)
  .map(({ source, destination, port, isIcmp }): Flow => {
    const ends = { source, destination, loopback: false };
    if (isIcmp) return { ...ends, protocol: IPPROTO_ICMP, icmp: { type: 8, code: 0, identifier: port } };
    return { ...ends, protocol: IPPROTO_UDP, sourcePort: port, destinationPort: 65535 - port };
  });

describe('parseFlowQuery', () => {
  it.each([
    'tcp 10.0.0.1:4000 -> 192.0.2.1:443',
    '10.0.0.1:4000 192.0.2.1:443',
    '192.0.2.1:443   10.0.0.1:4000',
    'TCP 192.0.2.1:443',
    '192.0.2.1:443/tcp',
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '[::ffff:192.0.2.1]:443',
    ':443',
    ':4000',
    '*:443',
    '10.0.0.1:* 192.0.2.1:443',
    '10.0.0.1:4000 → 192.0.2.1:443',
  ])('parseFlowQuery reads "%s" as something that fits the flow', (text) => {
    expect(matchesFlow(query(text), flow)).toBe(true);
    expect(matchesFlow(query(text), flow6)).toBe(['*:443', ':443', ':4000'].includes(text));
  });

  it.each([
    'udp 192.0.2.1:443',
    '192.0.2.1:443/udp',
    '192.0.2.1:4000',
    ':80',
    '10.0.0.1:443 192.0.2.1:4000',
    '192.0.2.2',
    ':443 :443',
  ])('parseFlowQuery reads "%s" as something that does not fit the flow', (text) => {
    expect(matchesFlow(query(text), flow)).toBe(false);
  });

  it.each(['[2001:db8::1]:443', '2001:db8::1', 'tcp [2001:db8::7]:4000 -> [2001:db8::1]:443'])(
    'parseFlowQuery reads "%s"',
    (text) => {
      expect(matchesFlow(query(text), flow6)).toBe(true);
    },
  );

  it('parseFlowQuery reads what formatFlow writes, and fits that flow', () => {
    fc.assert(fc.property(anyFlow, (each) => matchesFlow(query(formatFlow(each)), each)));
  });

  it.each([
    ['', '"" is not a flow', undefined],
    ['tpc 192.0.2.1:443', 'there is no protocol "tpc"', 'did you mean "tcp"?'],
    ['tpc 10.0.0.1:1 -> 192.0.2.1:443', 'there is no protocol "tpc"', 'did you mean "tcp"?'],
    ['192.0.2.1:443/upd', 'there is no protocol "upd"', 'did you mean "udp"?'],
    ['firefox', '"firefox" is not an address with a port; names are not looked up', undefined],
    ['example.org:443', '"example.org:443" is not an address with a port; names are not looked up', undefined],
    ['192.0.2.1:99999', '"99999" is not a port: 0 to 65535', undefined],
    ['192.0.2.1:1-5', '"1-5" is not a port: 0 to 65535', undefined],
    ['[192.0.2.1]:443', '"192.0.2.1" is not an IPv6 address', undefined],
    ['*', '"*" says nothing about a flow', undefined],
    ['1.1.1.1:1 2.2.2.2:2 3.3.3.3:3', '"1.1.1.1:1 2.2.2.2:2 3.3.3.3:3" is not a flow', undefined],
    [':'.repeat(300), 'that is longer than any flow', undefined],
  ])('parseFlowQuery refuses "%s"', (text, message, hint) => {
    const result = parseFlowQuery(text);
    expect(result).toMatchObject({ ok: false, message });
    if (hint !== undefined) expect(result).toMatchObject({ hint });
  });

  it('parseFlowQuery never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:[\]/ *>-]{0,60}$/)), (text) => {
        parseFlowQuery(text);
      }),
    );
  });
});
