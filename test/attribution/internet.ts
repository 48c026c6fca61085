/** An internet that takes whatever comes, at an address of its own for each scenario. */
import { DNS_HOST, LAB_UPLINKS } from '../../src/lab/world.ts';
import type { Device } from '../netns/support/device.ts';
import type { To } from './scenario.ts';

/** Where every sender sends to, and where the servers listen. */
export const PORT = 9000;
/** RFC 2544 and a documentation prefix: one address for each scenario, all of them the internet's. */
const INTERNET4 = '198.18.0.0/16';
const INTERNET6 = '2001:db8:5c0e::/48';
/** Swallowed on arrival, when it has been counted, so that no error answers: TCP and echo requests go on to servers. */
const SINK = `table inet sink {
  chain arriving {
    type filter hook input priority 0;
    ip daddr ${INTERNET4} meta l4proto != { tcp, icmp } drop
    ip6 daddr ${INTERNET6} meta l4proto != { tcp, icmpv6 } drop
  }
}
`;
/** Ping sockets for everybody; TCP fast open without a cookie (ip-sysctl.rst: 1 client, 4 data without a cookie). */
const DEVICE_SYSCTLS = [
  ['ipv4/ping_group_range', '0 2147483647'],
  ['ipv4/tcp_fastopen', '5'],
] as const;
/** 2 server, 0x200 data without a cookie, 0x400 all listeners; for IPv6 routed addresses are not local enough to bind to. */
const SERVER_SYSCTLS = [
  ['ipv4/tcp_fastopen', `${0x602}`],
  ['ipv6/ip_nonlocal_bind', '1'],
] as const;
const WRITE_SYSCTLS = 'while [ "$#" -gt 1 ]; do printf %s "$2" > "/proc/sys/net/$1" || exit 1; shift 2; done';
const [WIFI] = LAB_UPLINKS;

/** Adds to the lab's: every address ends in it, and nothing is answered that no server answers. */
export async function buildInternet(device: Device): Promise<void> {
  const sysctl = (part: 'device' | 'net', values: readonly (readonly string[])[]): Promise<string> =>
    device.must(part, ['sh', '-c', WRITE_SYSCTLS, 'sh', ...values.flat()]);
  await sysctl('device', DEVICE_SYSCTLS);
  await sysctl('net', SERVER_SYSCTLS);
  for (const network of [INTERNET4, INTERNET6])
    await device.must('net', ['ip', 'route', 'add', 'local', network, 'dev', 'lo']);
  await device.must('net', ['nft', '-f', '-'], SINK);
}

/** `number`: of the scenario, 1 to 255. */
export function addressOf(to: To, number: number): string {
  switch (to) {
    case 'v4':
      return `198.18.${number}.1`;
    case 'v6':
      return `2001:db8:5c0e:${number.toString(16)}::1`;
    case 'loopback':
      return `127.0.${number}.1`;
    case 'multicast':
      return `239.255.${number}.1`;
    case 'broadcast':
      return broadcastOf(WIFI?.access.v4.network ?? '');
    case 'resolver':
      return DNS_HOST.v4;
    case 'resolver6':
      return DNS_HOST.v6;
  }
}

/** Of a /24. */
const broadcastOf = (network: string): string => network.replace(/0\/24$/, '255');
