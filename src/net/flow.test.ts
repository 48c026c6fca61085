import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from './address.ts';
import { type Flow, flowKey, formatFlow } from './flow.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`test data: ${text}`);
  return parsed;
}

const tcp: Flow = {
  protocol: 6,
  source: address('10.0.0.1'),
  destination: address('192.0.2.1'),
  sourcePort: 4000,
  destinationPort: 443,
  loopback: false,
};
const ping: Flow = {
  protocol: 58,
  source: address('fd00::1'),
  destination: address('2001:db8::1'),
  icmp: { type: 128, code: 0, identifier: 7 },
  loopback: false,
};

describe('formatFlow()', () => {
  it('formatFlow() writes ports, with brackets in IPv6', () => {
    expect(formatFlow(tcp)).toBe('tcp 10.0.0.1:4000 -> 192.0.2.1:443');
    expect(formatFlow({ ...tcp, source: address('fd00::1'), destination: address('2001:db8::1') })).toBe(
      'tcp [fd00::1]:4000 -> [2001:db8::1]:443',
    );
  });

  it('formatFlow() writes ICMP with type, code and identifier', () => {
    expect(formatFlow(ping)).toBe('icmpv6 fd00::1 -> 2001:db8::1 type 128 code 0 id 7');
    expect(formatFlow({ ...ping, icmp: { type: 1, code: 4 } })).toBe('icmpv6 fd00::1 -> 2001:db8::1 type 1 code 4');
  });

  it('formatFlow() writes a protocol without ports, known or not', () => {
    const { sourcePort, destinationPort, ...bare } = tcp;
    expect(formatFlow({ ...bare, protocol: 47 })).toBe('gre 10.0.0.1 -> 192.0.2.1');
    expect(formatFlow({ ...bare, protocol: 200 })).toBe('200 10.0.0.1 -> 192.0.2.1');
  });
});

describe('flowKey()', () => {
  it('flowKey() is the same for equal flows', () => {
    expect(flowKey(structuredClone(tcp))).toBe(flowKey(tcp));
    expect(flowKey(structuredClone(ping))).toBe(flowKey(ping));
  });

  it('flowKey() differs where any one field differs', () => {
    const { sourcePort, destinationPort, ...bare } = tcp;
    const flows: Flow[] = [
      tcp,
      { ...tcp, protocol: 17 },
      { ...tcp, source: address('10.0.0.2') },
      { ...tcp, source: address('::10.0.0.1') },
      { ...tcp, destination: address('192.0.2.2') },
      { ...tcp, source: tcp.destination, destination: tcp.source },
      { ...tcp, sourcePort: 4001 },
      { ...tcp, sourcePort: 443, destinationPort: 4000 },
      { ...tcp, destinationPort: 44 },
      { ...tcp, loopback: true },
      bare,
      { ...bare, sourcePort: 0, destinationPort: 0 },
      ping,
      { ...ping, icmp: { type: 128, code: 0 } },
      { ...ping, icmp: { type: 128, code: 0, identifier: 0 } },
      { ...ping, icmp: { type: 12, code: 80, identifier: 7 } },
      { ...ping, icmp: { type: 129, code: 0, identifier: 7 } },
    ];
    expect(new Set(flows.map(flowKey)).size).toBe(flows.length);
  });
});
