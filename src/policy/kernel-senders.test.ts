import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { kernelSender } from './kernel-senders.ts';

const address = (text: string) => parseAddress(text) ?? expect.fail(text);
const ENDS = { source: address('10.9.0.2'), destination: address('198.51.100.7'), loopback: false };

describe('kernelSender()', () => {
  it.each([
    ['wireguard', IPPROTO_UDP, 51_821, 51_820],
    ['other', IPPROTO_UDP, 51_822, 51_820],
    ['other', IPPROTO_TCP, 51_821, 51_820],
    ['nfs', IPPROTO_TCP, 882, 2049],
    ['nfs', IPPROTO_TCP, 40_000, 2049],
    ['nfs', IPPROTO_UDP, 665, 111],
    ['nfs', IPPROTO_TCP, 1023, 20_048],
    ['other', IPPROTO_TCP, 1024, 20_048],
    ['other', IPPROTO_TCP, 664, 20_048],
    ['cifs', IPPROTO_TCP, 40_000, 445],
    ['cifs', IPPROTO_TCP, 1023, 139],
    ['other', IPPROTO_UDP, 40_000, 445],
    ['other', IPPROTO_TCP, 40_000, 4420],
  ] as const)(
    'kernelSender() tells %s by protocol %i from port %i to port %i',
    (sender, protocol, sourcePort, destinationPort) => {
      const flow = { ...ENDS, protocol, sourcePort, destinationPort };
      expect(kernelSender({ wireGuardPorts: [51_821] }, flow)).toBe(sender);
    },
  );

  it('kernelSender() tells what has no ports as other', () => {
    expect(kernelSender({}, { ...ENDS, protocol: 1, icmp: { type: 3, code: 1 } })).toBe('other');
  });
});
