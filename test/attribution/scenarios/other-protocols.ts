import type { Scenario, Stage } from '../scenario.ts';
import { bytes, datagrams4, echoes4, echoes6, raw4 } from './amounts.ts';

const COUNT = 3;
/** Of the association's start: how much follows is the peer's affair. */
const ATTEMPT = { unit: 'attempts', count: 1 } as const;

/** What a packet socket needs to know by itself. */
async function frame({ world }: Stage): Promise<readonly string[]> {
  const text = await world.device.must('wifi', ['ip', '-j', 'link', 'show', 'inside']);
  const [link] = JSON.parse(text) as readonly { readonly address: string }[];
  return ['wifi0', '192.168.10.2', link?.address ?? ''];
}

export const OTHER_PROTOCOLS: readonly Scenario[] = [
  { name: 'ping-v4', what: 'ping socket', source: 'icmp.c', sends: echoes4(COUNT), more: () => ['ping'] },
  {
    name: 'ping-v6',
    what: 'ping socket, IPv6',
    source: 'icmp.c',
    to: 'v6',
    sends: echoes6(COUNT),
    more: () => ['ping'],
  },
  {
    name: 'ping-brief',
    isBrief: true,
    what: 'ping socket of a program that ends at once',
    source: 'icmp.c',
    sends: echoes4(1),
    more: () => ['ping'],
  },
  { name: 'icmp-raw', what: 'ICMP, raw socket', source: 'icmp.c', sends: echoes4(COUNT), more: () => ['raw'] },
  {
    name: 'icmpv6-raw',
    what: 'ICMPv6, raw socket',
    source: 'icmp.c',
    to: 'v6',
    sends: echoes6(COUNT),
    more: () => ['raw'],
  },
  {
    name: 'icmp-raw-brief',
    isBrief: true,
    what: 'ICMP, raw socket of a program that ends at once',
    source: 'icmp.c',
    sends: echoes4(1),
    more: () => ['raw'],
  },
  { name: 'raw-253', what: 'raw IP, protocol 253', source: 'raw.c', sends: raw4(COUNT) },
  {
    name: 'raw-253-brief',
    isBrief: true,
    what: 'raw IP, protocol 253, by a program that ends at once',
    source: 'raw.c',
    sends: raw4(1),
  },
  {
    name: 'raw-header',
    what: 'raw IP with a header of its own (IPPROTO_RAW), UDP inside',
    source: 'raw-header.c',
    sends: datagrams4(COUNT),
  },
  {
    name: 'udp-lite',
    what: 'UDP-Lite',
    source: 'transport.c',
    sends: datagrams4(COUNT),
    more: () => ['udplite'],
  },
  { name: 'sctp', what: 'SCTP', source: 'transport.c', sends: ATTEMPT, more: () => ['sctp'] },
  { name: 'dccp', what: 'DCCP', source: 'transport.c', sends: ATTEMPT, more: () => ['dccp'] },
  {
    name: 'packet-socket',
    what: 'whole frames by a packet socket (AF_PACKET)',
    source: 'packet.c',
    sends: bytes(COUNT, 128),
    expected: { notGoverned: 'frames are below the IP layer, where no hook sees them; it takes CAP_NET_RAW' },
    run: async (stage) => stage.world.run(stage, [stage.program, ...stage.args(await frame(stage))]),
  },
];
