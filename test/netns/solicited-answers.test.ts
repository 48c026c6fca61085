/** Who asks all at once is answered by anybody on the link, from any port, at the port that asked; by nobody else, and not for long. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { DEVICE, inDevice, NET, type Root, SERVER4, SERVER6 } from './daemon/world.ts';

const APP = 'asker';
const PORT = 1900;
const GROUP4 = '239.255.255.250';
const GROUP6 = 'ff02::c';

/** Answers each question four times: from the port that was asked and from another one, by its own address and by one that is not on the link. */
const RESPONDER = `
import socket, struct, sys, threading
def answer(family, addresses):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    index = socket.if_nametoindex("n1")
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, "${GROUP6}") + struct.pack("@I", index))
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton("${GROUP4}"), b"\\0" * 4, index))
    s.bind(("", ${PORT}))
    senders = []
    for name, address in addresses:
        for kind, port in (("same", ${PORT}), ("other", 0)):
            sender = socket.socket(family, socket.SOCK_DGRAM)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.bind((address, port))
            senders.append((name + " " + kind, sender))
    while True:
        _, peer = s.recvfrom(100)
        for what, sender in senders:
            sender.sendto(what.encode(), peer)
threading.Thread(target=answer, args=(socket.AF_INET, (("link", "10.9.1.1"), ("far", "${SERVER4}")))).start()
threading.Thread(target=answer, args=(socket.AF_INET6, (("link", "fd09:1::1"), ("far", "${SERVER6}")))).start()
print("ready", flush=True)
`;

/** Sends to HOST, unless that is empty, from PORT, and tells what it hears within a second and a half. */
const ASKER = `
import socket, struct, sys
family, host, port = sys.argv[1:4]
v6 = family == "6"
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
if v6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("@I", socket.if_nametoindex("u1")))
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.1.2"))
s.bind(("", int(port)))
s.settimeout(1.5)
print("bound", flush=True)
if host:
    s.sendto(b"who is there", (host, ${PORT}))
heard = []
try:
    while True:
        heard.append(s.recvfrom(100)[0].decode())
except TimeoutError:
    pass
print(",".join(sorted(heard)), flush=True)
`;

/** Has port 5005 of the first link's address, and tells how much it hears within a second and a half. */
const VICTIM = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.9.1.2", 5005))
s.settimeout(1.5)
print("bound", flush=True)
heard = 0
try:
    while s.recv(100):
        heard += 1
except TimeoutError:
    pass
print(heard, flush=True)
`;
/** Of nobody: asks a group from the same port of another address, and in the name of the first link's (IP_PKTINFO, ip(7)). */
const INTRUDER = `
import os, socket, struct
os.setuid(65534)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.9.2.2", 5005))
index = socket.if_nametoindex("u1")
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"\\0" * 4, b"\\0" * 4, index))
s.sendto(b"who is there", ("${GROUP4}", 5005))
info = struct.pack("=i4s4s", index, socket.inet_aton("10.9.1.2"), b"\\0" * 4)
s.sendmsg([b"who is there"], [(socket.IPPROTO_IP, 8, info)], 0, ("${GROUP4}", 5005))
`;

let root: Root;
let machine: Machine;
let responder: ChildProcess;

const ask = (family: 4 | 6, host: string, port: number): string =>
  inDevice(root.program(APP), '-c', ASKER, `${family}`, host, `${port}`).trim().split('\n').at(-1) ?? '';
/** To a port of the device, from the other end of the first link. */
function sendTo(host: string, port: number): void {
  const script = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"unasked", (sys.argv[1], int(sys.argv[2])))
`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'python3', '-c', script, host, `${port}`]);
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  responder = spawn('nsenter', [`--net=/run/netns/${NET}`, 'python3', '-c', RESPONDER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => responder.stdout?.once('data', resolve));
  root.policy(APP, 'otherwise: allow\naccept: []\n');
  await machine.startDaemon();
});

afterAll(async () => {
  responder?.kill('SIGKILL');
  await machine?.[Symbol.asyncDispose]();
});

describe('answers to all at once', () => {
  it.each([
    ['a group', 4, GROUP4],
    ['the broadcast address of a network', 4, '10.9.1.255'],
    ['a group of IPv6', 6, GROUP6],
  ] as const)('answers to %s come from those on the link, from any port', (_, family, host) => {
    expect(ask(family, host, 5000)).toBe('link other,link same');
  });

  it('answers to broadcast everywhere come from those on the link, by a device that was chosen', () => {
    inDevice('ip', 'route', 'replace', '255.255.255.255', 'dev', 'u1');
    expect(ask(4, '255.255.255.255', 5001)).toBe('link other,link same');
  });

  it('answers come to the port that asked, and to no other', async () => {
    ask(4, GROUP4, 5002);
    const [nsenter = '', ...args] = ['nsenter', `--net=/run/netns/${DEVICE}`, root.program(APP)];
    const other = spawn(nsenter, [...args, '-c', ASKER, '4', '', '5003'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let heard = '';
    const bound = new Promise<void>((resolve) =>
      other.stdout?.on('data', (chunk: Buffer) => {
        heard += chunk.toString();
        resolve();
      }),
    );
    await bound;
    sendTo('10.9.1.2', 5003);
    await new Promise((resolve) => other.once('close', resolve));
    expect(heard.trim().split('\n')).toEqual(['bound']);
  });

  it('answers come to the program that asked, and to no other at its port', async () => {
    const args = [`--net=/run/netns/${DEVICE}`, root.program(APP), '-c', VICTIM];
    const victim = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let heard = '';
    await new Promise<void>((resolve) =>
      victim.stdout.on('data', (chunk: Buffer) => {
        heard += chunk.toString();
        resolve();
      }),
    );
    inDevice('python3', '-c', INTRUDER);
    for (let i = 0; i < 5; i += 1) sendTo('10.9.1.2', 5005);
    await new Promise((resolve) => victim.once('close', resolve));
    expect(heard.trim().split('\n')).toEqual(['bound', '0']);
  });

  it('answers come no longer when what was asked has been forgotten, which is after 10 seconds', () => {
    ask(4, GROUP4, 5004);
    const set = inDevice('nft', 'list', 'set', 'inet', 'pointsman', 'asked4');
    expect(set).toMatch(/10\.9\.1\.2 \. 5004 \. "?u1"? timeout 10s expires \d/);
    expect(set).toContain('size 65536');
  });
});
