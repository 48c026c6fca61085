/**
 * Connections that a helper of conntrack expects (FTP's data, here) begin with the mark of the one that announced them, whoever begins them: each is
 * its own program's all the same. The other end counts.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { arrivedBy, countArrivals } from './daemon/port-arrivals.ts';
import { DEVICE, eventually, FIRST, heldPackets, inDevice, NET, SERVER4, SERVER6 } from './daemon/world.ts';

const SENDER = join(import.meta.dirname, 'support/odd-sender.py');
const PYTHON = '/usr/bin/python3';
const CONTROL_PORT = 2121;
const HOSTS = [SERVER4, SERVER6] as const;
type Host = (typeof HOSTS)[number];
/** Where programs listen. */
const LISTENERS = { closed: 8181, open: 8182 } as const;
const PORTS = { free: 80, denied: 81, routed: 82, control: 83 } as const;
type Who = keyof typeof PORTS;
const run = promisify(execFile);

/** A server for FTP that says where data are to be had: `PASV PORT` of it, and connects where it is told: `PORT`, `EPRT`. */
const SERVER = `
import socket, socketserver, sys, threading
class Control(socketserver.StreamRequestHandler):
    def handle(self):
        six = "." not in self.client_address[0]
        # The helper looks at a line only where it has seen the end of the one before.
        self.wfile.write(b"220 Ready\\r\\n")
        for line in self.rfile:
            words = line.decode().split()
            if words[0] in ("PASV", "EPSV"):
                port = int(words[1])
                host = self.request.getsockname()[0].replace("::ffff:", "").replace(".", ",")
                text = f"229 Entering Extended Passive Mode (|||{port}|)" if six else f"227 Entering Passive Mode ({host},{port >> 8},{port & 255})"
                self.wfile.write((text + "\\r\\n").encode())
            else:
                self.wfile.write(b"200 OK\\r\\n")
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
server = Server(("::", int(sys.argv[1])), Control)
print("ready", flush=True)
server.serve_forever()
`;

/** Says each line of its input to the server, and prints the answer. */
const CLIENT = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
f = s.makefile("rw", newline="\\r\\n")
print(f.readline().strip(), flush=True)
for line in sys.stdin:
    f.write(line.strip() + "\\r\\n")
    f.flush()
    print(f.readline().strip(), flush=True)
`;

const LISTEN = `
import socket, sys
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True: s.accept()[0].close()
`;

/** From an address of the server's. Prints "connected", or the error's name. */
const KNOCK = `
import errno, socket, sys
source, host, port = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
s.settimeout(30)
s.bind((source, 0))
try:
    s.connect((host, int(port)))
    print("connected")
except OSError as error:
    print(errno.errorcode.get(error.errno, str(error)))
`;

let machine: Machine;
const children: ChildProcess[] = [];

const inside = (namespace: string, ...args: readonly string[]): string[] => [`--net=/run/netns/${namespace}`, ...args];
const nft = (namespace: string, input: string): string =>
  execFileSync('nsenter', inside(namespace, 'nft', '-f', '-'), { encoding: 'utf8', input });

class Talk {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: string, ...command: readonly string[]) {
    this.#child = spawn('nsenter', inside(namespace, ...command), { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(this.#child);
    if (this.#child.stdout === null) throw new Error('no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    return `${(await this.#lines.next()).value}`;
  }

  async say(text: string): Promise<string> {
    this.#child.stdin?.write(`${text}\n`);
    return await this.line();
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

beforeAll(async () => {
  machine = await Machine.build();
  const { root } = machine;
  root.program('free');
  root.policy('denied', 'otherwise: deny\n');
  root.policy('routed', 'via: { require: { name: cellular }, else: block }\notherwise: allow\n');
  root.policy('control', 'otherwise: allow\n');
  root.policy('closed', 'accept: []\notherwise: allow\n');
  root.program('open');
  countArrivals(Object.values(PORTS), ['tcp']);
  nft(
    DEVICE,
    `table inet helpers {\nct helper ftp4 {\ntype "ftp" protocol tcp;\nl3proto ip;\n}\nct helper ftp6 {\ntype "ftp" protocol tcp;\nl3proto ip6;\n}
chain c {\ntype filter hook output priority -190;\nip daddr ${SERVER4} tcp dport ${CONTROL_PORT} ct helper set "ftp4"\nip6 daddr ${SERVER6} tcp dport ${CONTROL_PORT} ct helper set "ftp6"\n}\n}\n`,
  );
  await new Talk(NET, PYTHON, '-c', SERVER, `${CONTROL_PORT}`).line();
  for (const [name, port] of Object.entries(LISTENERS)) {
    expect(await new Talk(DEVICE, root.program(name), '-c', LISTEN, `${port}`).line()).toBe('ready');
  }
  const daemon = await machine.startDaemon();
  await eventually(
    () => daemon.status(),
    ({ uplinks }) => uplinks.length === 2 && uplinks.every(({ up }) => up),
  );
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await machine?.[Symbol.asyncDispose]();
});

const expected = (): string => inDevice('cat', '/proc/self/net/nf_conntrack_expect');

/** By which uplinks a connection came that the server has announced to a program; else what the program was told. */
async function connect(who: Who, host: Host): Promise<string> {
  const args = [machine.root.program(who), SENDER, 'tcp', host, `${PORTS[who]}`];
  const { stdout } = await run('nsenter', inside(DEVICE, ...args), { encoding: 'utf8' });
  await eventually(heldPackets, (count) => count === 0);
  const uplinks = arrivedBy(PORTS[who]);
  return uplinks.length > 0 ? uplinks.join(' and ') : stdout.trim();
}

describe.each(HOSTS)('a connection that was announced to another program, to %s', (host) => {
  it.each([
    ['free', 'free', 'wifi'],
    ['control', 'denied', 'ECONNREFUSED'],
    ['control', 'routed', 'cellular'],
    ['routed', 'control', 'wifi'],
    ['routed', 'free', 'wifi'],
    ['control', 'control', 'wifi'],
    ['routed', 'routed', 'cellular'],
  ] as const)('by a server of %s is that of who begins it: %s', async (announced, who, way) => {
    const control = new Talk(DEVICE, machine.root.program(announced), '-c', CLIENT, host, `${CONTROL_PORT}`);
    expect(await control.line()).toBe('220 Ready');
    expect(await control.say(`${host === SERVER6 ? 'EPSV' : 'PASV'} ${PORTS[who]}`)).toMatch(/^22[79] /);
    await eventually(expected, (text) => text.includes(`dport=${PORTS[who]}`));
    expect(await connect(who, host)).toBe(way);
    control.end();
    inDevice('conntrack', '-F', 'expect');
  });
});

describe.each([
  { host: SERVER4, own: FIRST.v4 },
  { host: SERVER6, own: FIRST.v6 },
])('a connection from $host that another program has asked for', ({ host, own }) => {
  it.each([
    ['open', 'connected'],
    ['closed', 'ECONNREFUSED'],
  ] as const)('is as what `accept` says of who listens: %s', async (who, told) => {
    const port = LISTENERS[who];
    const control = new Talk(DEVICE, machine.root.program('control'), '-c', CLIENT, host, `${CONTROL_PORT}`);
    expect(await control.line()).toBe('220 Ready');
    expect(await control.say('NOOP')).toBe('200 OK');
    const active = `PORT ${own.replaceAll('.', ',')},${port >> 8},${port & 255}`;
    expect(await control.say(host === SERVER6 ? `EPRT |2|${own}|${port}|` : active)).toBe('200 OK');
    await eventually(expected, (text) => text.includes(`dport=${port}`));
    const { stdout } = await run('nsenter', inside(NET, PYTHON, '-c', KNOCK, host, own, `${port}`), {
      encoding: 'utf8',
    });
    expect(stdout.trim()).toBe(told);
    control.end();
    inDevice('conntrack', '-F', 'expect');
  });
});
