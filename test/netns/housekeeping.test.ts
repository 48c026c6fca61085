/** What keeps a link alive passes in every state, and carries nothing to a host that is not on the link: the other end counts. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, inDevice, NET, type Root, SERVER4, SERVER6 } from './daemon/world.ts';
import { POINTSMAN } from './support/build-program.ts';

const APP = 'client';
const SENDS = 5;
/** Nobody but the sender below sends to these. */
const GROUP4 = '224.0.0.99';
const SOLICITED = 'ff02::1:ff99:9999';

/** Sends five of: udp SOURCE-PORT PORT, icmp6 TYPE, or a protocol of IPv4, to an address, by a device where one is named. */
const SENDER = `
import socket, struct, sys
kind, one, two, host, device = sys.argv[1:6]
v6 = ":" in host
if kind == "udp":
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("", int(one)))
    data = b"x" * 32
elif kind == "icmp6":
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    data = struct.pack("!BBHI", int(one), 0, 0, 0) + socket.inet_pton(socket.AF_INET6, "fe80::99:9999")
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(one))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
    data = b"\\x22" + b"\\0" * 7
if device:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
for _ in range(${SENDS}):
    try:
        s.sendto(data, (host, int(two)))
    except OSError:
        pass
`;

/** Of packets that arrive at the other end, before anything there looks at them. */
const COUNTED = `table inet counted
delete table inet counted
table inet counted {
  chain arriving {
    type filter hook prerouting priority -400
    udp sport 68 udp dport 67 ip daddr ${SERVER4} iifname "n1" counter comment "far client"
    udp sport 68 udp dport 67 ip daddr ${SERVER4} iifname "n2" counter comment "far client by the second"
    udp sport 68 udp dport 67 ip daddr 10.9.1.1 counter comment "neighbour client"
    udp sport 68 udp dport 67 ip daddr 255.255.255.255 counter comment "client to all"
    udp sport 67 udp dport 68 ip daddr ${SERVER4} counter comment "far server"
    udp sport 67 udp dport 68 ip daddr 10.9.1.1 counter comment "neighbour server"
    udp sport 546 udp dport 547 ip6 daddr ${SERVER6} counter comment "far client6"
    udp sport 546 udp dport 547 ip6 daddr ff02::1:2 counter comment "client6 to all"
    icmpv6 type { 134, 135 } ip6 daddr ${SERVER6} counter comment "far discovery"
    icmpv6 type 135 ip6 daddr ${SOLICITED} counter comment "discovery"
    icmpv6 type 143 ip6 daddr ${SERVER6} counter comment "far listener"
    meta l4proto igmp ip daddr ${SERVER4} counter comment "far igmp"
    meta l4proto igmp ip daddr ${GROUP4} counter comment "igmp"
  }
}
`;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

const inNet = (input: string, ...args: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', ...args], { input, encoding: 'utf8' });

/** How many arrived since the last time, by comment; those of nothing are left out. */
function arrived(): Record<string, number> {
  const listed = inNet('', 'list', 'table', 'inet', 'counted');
  inNet(COUNTED, '-f', '-');
  const counts = [...listed.matchAll(/counter packets (\d+) bytes \d+ comment "([^"]*)"/g)];
  return Object.fromEntries(
    counts.map(([, count = '', what = '']) => [what, Number(count)]).filter(([, n]) => n !== 0),
  );
}

const send = (kind: string, one: number, two: number, host: string, device = ''): void => {
  inDevice(root.program(APP), '-c', SENDER, kind, `${one}`, `${two}`, host, device);
};

/** Each once in every way that is not housekeeping. */
function sendFar(): void {
  send('udp', 68, 67, SERVER4);
  send('udp', 67, 68, SERVER4);
  send('udp', 68, 67, '10.9.1.1');
  send('udp', 546, 547, SERVER6);
  send('icmp6', 135, 0, SERVER6);
  send('icmp6', 134, 0, SERVER6);
  send('icmp6', 143, 0, SERVER6);
  send('protocol', 2, 0, SERVER4);
}
/** And in those that are. */
function sendNear(): void {
  send('udp', 68, 67, '255.255.255.255', 'u1');
  send('udp', 546, 547, 'ff02::1:2', 'u1');
  send('icmp6', 135, 0, SOLICITED, 'u1');
  send('protocol', 2, 0, GROUP4, 'u1');
}
const NEAR = { 'client to all': SENDS, 'client6 to all': SENDS, discovery: SENDS, igmp: SENDS };

const pointsman = (...args: string[]): string => {
  const [node = '', ...rest] = POINTSMAN;
  return inDevice(node, ...rest, ...args, '--root', root.dir);
};

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  inNet(COUNTED, '-f', '-');
  root.policy(APP, 'otherwise: deny\n');
  root.policy('other', 'otherwise: allow\nvia: { require: { type: cellular }, else: block }\n');
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe('housekeeping', () => {
  it('housekeeping of a program that is denied everything reaches the link, and no host beyond it', () => {
    arrived();
    sendFar();
    expect(arrived()).toEqual({});
    sendNear();
    send('udp', 67, 68, '10.9.1.1');
    expect(arrived()).toEqual({ ...NEAR, 'neighbour server': SENDS });
  });

  it('housekeeping asks the server of a lease, by the uplink that has it', async () => {
    const lease = (device: string, server: string): string =>
      `lease {\n  interface "${device}";\n  option dhcp-server-identifier ${server};\n}\n`;
    root.write('var/lib/dhcp/dhclient.leases', lease('u1', '10.9.1.1') + lease('u2', SERVER4));
    await daemon.reload();
    arrived();
    sendFar();
    expect(arrived()).toEqual({ 'far client by the second': SENDS, 'neighbour client': SENDS });
    root.write('var/lib/dhcp/dhclient.leases', '');
    await daemon.reload();
    sendFar();
    expect(arrived()).toEqual({});
  });

  it('housekeeping is, beyond the link, a flow as any other: where the program may, it does', async () => {
    root.policy(APP, 'otherwise: allow\n');
    await daemon.reload();
    arrived();
    sendFar();
    // Of packets that come while the first one is being decided some may be lost: which ones arrive at all is the question.
    expect(Object.keys(arrived()).sort()).toEqual(
      [
        ...['far client', 'far server', 'neighbour client', 'far client6'],
        ...['far discovery', 'far listener', 'far igmp'],
      ].sort(),
    );
  });

  it('housekeeping alone passes while all is closed, and nothing of it beyond the link', async () => {
    pointsman('panic', 'closed');
    try {
      arrived();
      sendFar();
      expect(arrived()).toEqual({});
      sendNear();
      expect(arrived()).toEqual(NEAR);
    } finally {
      pointsman('panic', 'off');
    }
    sendFar();
    expect(Object.keys(arrived())).toEqual(expect.arrayContaining(['far client', 'far server']));
  });
});
