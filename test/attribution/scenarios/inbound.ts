/** Connections that come in, and packets that no program here sends. */
import { type Ended, ended, WELL_ENDED } from '../ended.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { bytes, datagrams4, datagrams6 } from './amounts.ts';

const HERE4 = '192.168.10.2';
const HERE6 = '2001:db8:10::2';
const ACCEPT = 'accept: ["*"]\nrules:\n  - { to: "*", do: deny }\notherwise: deny';
const CONNECT = `
import socket, sys
s = socket.socket(socket.AF_INET)
s.bind((sys.argv[1], 0))
s.settimeout(3)
s.connect((sys.argv[2], int(sys.argv[3])))
s.sendall(b"x")
while s.recv(4096): pass
`;
const ASK = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9000))
s.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
`;
const CONNECT_REFUSED = CONNECT.replace(/s\.connect\((.*)\)\n[\s\S]*/, 's.connect_ex($1)\n');
/** Where servers on the device listen, one after the other. */
const SERVER_PORT = '9100';
/** A port that nobody listens on. */
const CLOSED_PORT = '9999';
/** Of the kernel's refusal: a TCP header without options. */
const RESET_BYTES = 40;

/** A server on the device, and somebody in the internet who comes from the scenario's address. */
async function serve(stage: Stage, here: string, client: string): Promise<Ended> {
  const { world, program, address, args } = stage;
  const [, , count = '1'] = args();
  const server = await world.start(stage, [program, address, SERVER_PORT, count]);
  const end = ended(server);
  await world.device.must('net', ['/usr/bin/python3', '-c', client, address, here, SERVER_PORT]);
  return end;
}

/** A network namespace behind the device, as a container's. */
async function sendFromBox({ world, program, args }: Stage): Promise<Ended> {
  const { device } = world;
  const box = `pml-${device.id}-box`;
  const inside = (...command: string[]): Promise<string> =>
    device.must('device', ['nsenter', `--net=/run/netns/${box}`, ...command]);
  const ip = (...args: string[]): Promise<string> => device.must('device', ['ip', ...args]);
  await ip('netns', 'add', box);
  try {
    await ip('link', 'add', 'box0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', box);
    await ip('addr', 'add', '10.88.0.1/24', 'dev', 'box0');
    await ip('link', 'set', 'box0', 'up');
    await inside('ip', 'addr', 'add', '10.88.0.2/24', 'dev', 'eth0');
    await inside('ip', 'link', 'set', 'eth0', 'up');
    await inside('ip', 'route', 'add', 'default', 'via', '10.88.0.1');
    await device.must('device', ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await inside(program, ...args());
    return WELL_ENDED;
  } finally {
    await device.must('device', ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward']);
    await ip('netns', 'del', box);
  }
}

export const INBOUND: readonly Scenario[] = [
  {
    name: 'in-tcp',
    what: 'answers to a TCP connection from outside, IPv4 to an AF_INET6 listener',
    source: 'tcp-listener.c',
    sends: { unit: 'attempts', count: 5 },
    count: 10,
    policy: ACCEPT,
    run: (stage) => serve(stage, HERE4, CONNECT),
  },
  {
    name: 'in-udp',
    what: 'answers to a datagram from outside',
    source: 'udp-server.c',
    sends: datagrams4(10),
    policy: ACCEPT,
    run: (stage) => serve(stage, HERE4, ASK),
  },
  {
    name: 'in-udp-v6',
    what: 'answers to a datagram from outside, IPv6',
    source: 'udp-server.c',
    to: 'v6',
    sends: datagrams6(10),
    policy: ACCEPT,
    run: (stage) => serve(stage, HERE6, ASK),
  },
  {
    name: 'echo-reply',
    what: 'the answer to a ping from outside',
    sends: bytes(3, 84),
    match: 'none',
    expected: { notAnApplication: 'the kernel answers' },
    run: async ({ world, address }) => {
      await world.device.must('net', ['ping', '-n', '-c', '3', '-i', '0.05', '-I', address, HERE4]);
      return WELL_ENDED;
    },
  },
  {
    name: 'reset',
    what: 'the refusal of a connection from outside to a port that nobody listens on',
    sends: bytes(1, RESET_BYTES),
    match: 'none',
    expected: { notAnApplication: 'the kernel answers' },
    run: async ({ world, address }) => {
      await world.device.must('net', ['/usr/bin/python3', '-c', CONNECT_REFUSED, address, HERE4, CLOSED_PORT]);
      return WELL_ENDED;
    },
  },
  {
    name: 'box',
    isBrief: true,
    what: 'a program in a network namespace behind a link of the machine, as in a container',
    source: 'udp.c',
    sends: datagrams4(10),
    expected: { notGoverned: "its packets are forwarded: they come from no socket of the machine's own network" },
    run: sendFromBox,
  },
];
