/** Where it goes, and by which way. */
import type { Scenario } from '../scenario.ts';
import { bytes, connections, datagrams4, datagrams6 } from './amounts.ts';

const BY_CELLULAR =
  'rules:\n  - { to: "*", do: allow, via: { require: { name: cellular }, else: block } }\notherwise: deny';
const DNS_QUERY_BYTES = 20 + 8 + 33;

export const WAYS: readonly Scenario[] = [
  {
    name: 'via-tcp',
    what: 'TCP by the uplink that the policy requires',
    source: 'tcp.c',
    sends: connections(1, 10),
    count: 10,
    policy: BY_CELLULAR,
  },
  {
    name: 'via-udp',
    what: 'UDP by the uplink that the policy requires',
    source: 'udp.c',
    sends: datagrams4(10),
    policy: BY_CELLULAR,
    by: 'cell',
  },
  {
    name: 'via-udp-v6',
    what: 'UDP, IPv6, by the uplink that the policy requires',
    source: 'udp.c',
    to: 'v6',
    sends: datagrams6(10),
    policy: BY_CELLULAR,
    by: 'cell',
  },
  {
    name: 'via-udp-brief',
    what: 'one datagram by the uplink that the policy requires, by a program that ends at once',
    source: 'udp-unconnected.c',
    isStatic: true,
    isBrief: true,
    sends: datagrams4(1),
    policy: BY_CELLULAR,
    by: 'cell',
  },
  {
    name: 'by-device',
    what: 'UDP, bound to a device (SO_BINDTODEVICE)',
    source: 'udp-by-device.c',
    sends: datagrams4(10),
    more: () => ['cell0'],
    by: 'cell',
  },
  {
    name: 'source-routed',
    what: 'UDP by loose source route: counted where it goes first',
    source: 'udp-source-routed.c',
    // With 8 bytes of options.
    sends: bytes(3, 136),
    more: () => ['203.0.113.10'],
  },
  {
    name: 'loopback',
    what: 'UDP to this machine, by a policy that speaks of it',
    source: 'udp-unconnected.c',
    to: 'loopback',
    sends: datagrams4(10),
    policy: 'rules:\n  - { to: [loopback, "*"], do: allow }\notherwise: deny',
  },
  {
    name: 'multicast',
    what: 'UDP, multicast',
    source: 'udp-unconnected.c',
    to: 'multicast',
    sends: datagrams4(10),
  },
  {
    name: 'broadcast',
    what: 'UDP, broadcast',
    source: 'udp-unconnected.c',
    to: 'broadcast',
    sends: datagrams4(10),
  },
  {
    name: 'resolve',
    what: 'a DNS query by the C library to the configured resolver (A and AAAA)',
    source: 'resolve.c',
    to: 'resolver',
    sends: bytes(2, DNS_QUERY_BYTES),
    more: () => ['www.example.org'],
  },
  {
    name: 'ask-dns',
    what: 'a DNS query of its own making to a server of its own choice',
    source: 'ask-dns.c',
    to: 'resolver6',
    sends: bytes(1, DNS_QUERY_BYTES + 20),
  },
];
