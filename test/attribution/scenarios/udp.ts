import type { Scenario } from '../scenario.ts';
import { datagrams4, datagrams6 } from './amounts.ts';

const FLOOD = 20_000;
const SOCKETS = 1_000;
const BURST = 64;

export const UDP: readonly Scenario[] = [
  { name: 'udp-connected', what: 'UDP, a connected socket', source: 'udp.c', sends: datagrams4(10) },
  { name: 'udp-v6', what: 'UDP, IPv6', source: 'udp.c', to: 'v6', sends: datagrams6(10) },
  { name: 'udp-unconnected', what: 'UDP by sendto', source: 'udp-unconnected.c', sends: datagrams4(10) },
  {
    name: 'udp-elsewhere',
    what: 'UDP by sendto on a socket connected to somebody else',
    source: 'udp-elsewhere.c',
    sends: datagrams4(10),
    more: () => ['192.0.2.1'],
  },
  { name: 'udp-sendmmsg', what: 'UDP, a burst by one sendmmsg', source: 'udp-sendmmsg.c', sends: datagrams4(BURST) },
  {
    name: 'udp-brief',
    what: 'one datagram by a static program that ends at once',
    source: 'udp.c',
    isStatic: true,
    isBrief: true,
    sends: datagrams4(1),
  },
  { name: 'udp-flood', what: 'UDP flood, one socket', source: 'udp.c', sends: datagrams4(FLOOD) },
  {
    name: 'udp-sockets',
    what: `${SOCKETS} sockets, one datagram each, closed at once`,
    source: 'udp-sockets.c',
    sends: datagrams4(SOCKETS),
  },
];
