/** The verdict thread on the kernel's own queue: real packets of real programs between two namespaces. Needs root and `dist`. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const DRIVER = fileURLToPath(new URL('./verdict-driver.mjs', import.meta.url));
const QUEUE = 17700;
const DEVICE = `pmv-device-${process.pid}`;
const SERVER = `pmv-server-${process.pid}`;
const QUEUED_MARK = '0x80007f00/0x8000ffff';
const SERVER_V4 = '10.77.0.2';
const SERVER_V6 = 'fd77::2';

/** The chains before and after the queue, as small as they can be. `remembers`: the conntrack mark keeps the answer. */
function ruleset(remembers: boolean): string {
  return `
table inet verdict_test {
  chain ask { type route hook output priority -151;
    oifname "lo" accept
    meta l4proto ipv6-icmp accept
    ct mark & 0x80000000 != 0 accept
    meta mark set 0x80007f00
  }
  chain verdict { type filter hook output priority -149;
    meta mark & 0x8000ffff == 0x80007f01 meta l4proto tcp reject with tcp reset
    meta mark & 0x8000ffff == 0x80007f01 reject with icmpx admin-prohibited
    ${remembers ? 'meta mark & 0x80000000 != 0 ct mark set meta mark' : ''}
  }
}`;
}

function inside(namespace: string, command: readonly string[], input?: string): string {
  return execFileSync('nsenter', [`--net=/run/netns/${namespace}`, ...command], { input, encoding: 'utf8' });
}

function loadRules(remembers: boolean): void {
  spawnSync('nsenter', [`--net=/run/netns/${DEVICE}`, 'nft', 'delete', 'table', 'inet', 'verdict_test']);
  inside(DEVICE, ['nft', '-f', '-'], ruleset(remembers));
}

function queueColumn(column: number): number {
  const table = inside(DEVICE, ['cat', '/proc/net/netfilter/nfnetlink_queue']);
  return Number(table.trim().split(/\s+/)[column - 1]);
}

/** The id of the last packet that was queued. */
const packetsQueued = (): number => queueColumn(8);
/** Packets for which the queue had no room. */
const packetsDropped = (): number => queueColumn(6);

interface Message {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** The program that holds the verdict thread; what it says is read in order. */
class Driver {
  readonly process: ChildProcessWithoutNullStreams;
  readonly #messages: Message[] = [];
  #arrived: () => void = () => {};

  constructor() {
    this.process = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, process.execPath, DRIVER, `${QUEUE}`]);
    this.process.stderr.pipe(process.stderr);
    // One that was refused the queue ends before it is told to.
    this.process.stdin.on('error', () => undefined);
    this.process.once('close', () => this.#arrived());
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.#messages.push(JSON.parse(line) as Message);
      this.#arrived();
    });
  }

  tell(request: object): void {
    this.process.stdin.write(`${JSON.stringify(request)}\n`);
  }

  /** The next message of this kind; those before it are passed over. */
  async next(kind: string): Promise<Message> {
    for (;;) {
      for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
        if (message.kind === kind) return message;
      }
      if (this.process.exitCode !== null) throw new Error(`the driver ended before it said "${kind}"`);
      await new Promise<void>((arrived) => {
        this.#arrived = arrived;
      });
    }
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const exited = once(this.process, 'exit');
    this.tell({ op: 'stop' });
    this.process.stdin.end();
    await exited;
  }
}

async function startDriver(): Promise<Driver> {
  const driver = new Driver();
  running.push(driver);
  await driver.next('ready');
  return driver;
}

let running: Driver[] = [];

const CONNECT = `
my ($host, $port) = @ARGV; my $family = $host =~ /:/ ? AF_INET6 : AF_INET;
socket(S, $family, SOCK_STREAM, 0) or die; my $to = inet_pton($family, $host);
alarm 10; my $ok = connect(S, $family == AF_INET6 ? pack_sockaddr_in6($port, $to) : pack_sockaddr_in($port, $to));
print $ok ? "connected" : $!{ECONNREFUSED} ? "refused" : "failed: $!"`;
const PERL = ['/usr/bin/perl', '-MSocket=:all', '-MErrno', '-e'];
/** Sends as many datagrams as each line of its input says. */
const DATAGRAMS = `
$| = 1; socket(S, AF_INET, SOCK_DGRAM, 0); my $to = pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]));
while (my $count = <STDIN>) { send(S, "x", 0, $to) for 1 .. $count; print "sent\\n" }`;
const SEND_AND_END = `
socket(S, AF_INET, SOCK_DGRAM, 0); send(S, "x", 0, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0])))`;
/** More than the queue takes; the sender's own memory is bounded for each socket. */
const FLOOD = `
my $to = pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]));
for (1 .. 60) { socket(my $s, AF_INET, SOCK_DGRAM, 0); push @all, $s; send($s, "x", MSG_DONTWAIT, $to) for 1 .. 100 }`;
/** A thread that leaves the others' descriptors (CLONE_FILES, 0x400) opens a socket, sends, and stays. */
const OWN_DESCRIPTORS = `
import ctypes, socket, sys, threading, time
def run():
    assert ctypes.CDLL(None).unshare(0x400) == 0
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
    time.sleep(1)
    own.close()
thread = threading.Thread(target=run)
thread.start()
thread.join()`;
const LISTEN = `
$| = 1; socket(S, AF_INET6, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
bind(S, pack_sockaddr_in6($ARGV[0], IN6ADDR_ANY)) or die $!; listen(S, 100); print "ready\\n"; while (accept(C, S)) { close C }`;

function perl(script: string, ...parameters: (string | number)[]): string {
  return inside(DEVICE, [...PERL, script, ...parameters.map(String)]);
}

function startPerl(script: string, ...parameters: (string | number)[]): ChildProcessWithoutNullStreams {
  const child = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, ...PERL, script, ...parameters.map(String)]);
  children.push(child);
  return child;
}

/** Does not block this process, which has to read what the driver says meanwhile. */
async function perlAside(script: string, ...parameters: (string | number)[]): Promise<string> {
  const child = startPerl(script, ...parameters);
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  await once(child, 'close');
  return text;
}

async function sendDatagrams(sender: ChildProcessWithoutNullStreams, count: number): Promise<void> {
  sender.stdin.write(`${count}\n`);
  await once(sender.stdout, 'data');
}

const children: ChildProcessWithoutNullStreams[] = [];

async function listen(port: number): Promise<void> {
  const server = spawn('nsenter', [`--net=/run/netns/${SERVER}`, ...PERL, LISTEN, `${port}`]);
  children.push(server);
  await once(server.stdout, 'data');
}

beforeAll(async () => {
  for (const namespace of [DEVICE, SERVER]) {
    execFileSync('ip', ['netns', 'add', namespace]);
    execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  }
  execFileSync('ip', ['link', 'add', 'up0', 'netns', DEVICE, 'type', 'veth', 'peer', 'name', 'up0', 'netns', SERVER]);
  for (const [namespace, host] of [
    [DEVICE, '1'],
    [SERVER, '2'],
  ] as const) {
    execFileSync('ip', ['-n', namespace, 'addr', 'add', `10.77.0.${host}/24`, 'dev', 'up0']);
    execFileSync('ip', ['-n', namespace, 'addr', 'add', `fd77::${host}/64`, 'dev', 'up0', 'nodad']);
    execFileSync('ip', ['-n', namespace, 'link', 'set', 'up0', 'up']);
  }
  for (const tool of ['iptables-nft', 'ip6tables-nft']) {
    const rule = [
      '-t',
      'mangle',
      '-A',
      'OUTPUT',
      '-m',
      'mark',
      '--mark',
      QUEUED_MARK,
      '-j',
      'NFQUEUE',
      '--queue-num',
      `${QUEUE}`,
    ];
    inside(DEVICE, [tool, ...rule]);
  }
  await listen(80);
  await listen(993);
});

afterEach(async () => {
  for (const driver of running) await driver.stop();
  running = [];
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const namespace of [DEVICE, SERVER]) spawnSync('ip', ['netns', 'del', namespace]);
});

describe('the verdict thread', () => {
  it.each([SERVER_V4, SERVER_V6])(
    'the verdict thread accepts and refuses connections to %s by the policy of the program',
    async (host) => {
      loadRules(true);
      const driver = await startDriver();
      expect(perl(CONNECT, host, 80)).toBe('connected');
      expect(perl(CONNECT, host, 25)).toBe('refused');
      const { event: accepted } = await driver.next('event');
      const { event: refused } = await driver.next('event');
      expect(accepted).toMatchObject({
        owner: { kind: 'process', executable: '/usr/bin/perl', uid: process.geteuid?.() },
        decision: { verdict: 'accept', app: 'org.perl.Test', reason: { kind: 'rule', entry: '*:80' } },
        appId: 7,
      });
      expect(refused).toMatchObject({ decision: { verdict: 'reject', cause: 'denied', reason: { entry: '*:25' } } });
    },
  );

  it('the verdict thread sees one packet of a one-way UDP flow, and every packet where no rule remembers the answer', async () => {
    for (const [remembers, wanted] of [
      [true, 1],
      [false, 20],
    ] as const) {
      loadRules(remembers);
      const driver = await startDriver();
      const before = packetsQueued();
      const sender = startPerl(DATAGRAMS, SERVER_V4, 80);
      await sendDatagrams(sender, 1);
      // Reported after its verdict: from here on the kernel knows.
      expect(await driver.next('event')).toMatchObject({ event: { decision: { verdict: 'accept' } } });
      await sendDatagrams(sender, 19);
      expect(packetsQueued() - before).toBe(wanted);
      await driver.stop();
    }
  });

  it('the verdict thread holds a connection until its name is known, and other connections go on', async () => {
    loadRules(true);
    const driver = await startDriver();
    const held = perlAside(CONNECT, SERVER_V4, 993);
    expect(await driver.next('resolve')).toMatchObject({ name: 'named' });
    expect(await perlAside(CONNECT, SERVER_V4, 80)).toBe('connected');
    driver.tell({ op: 'publish', name: SERVER_V4 });
    expect(await driver.next('published')).toMatchObject({ revision: 2 });
    expect(await held).toBe('connected');
    driver.tell({ op: 'stats' });
    expect((await driver.next('stats')).stats).toMatchObject({
      accept: 2,
      heldFlows: 0,
      undecodable: 0,
      failed: 0,
      unsent: 0,
      eventsLost: 0,
    });
  });

  it('the verdict thread does not believe an executable that another file was mounted over', async () => {
    loadRules(true);
    const driver = await startDriver();
    const mounted = 'mount --bind "$1" /usr/bin/perl && shift && exec /usr/bin/perl "$@"';
    // Another file with the interpreter in it, which calls itself /usr/bin/perl in its own mounts.
    const copy = join(mkdtempSync(join(tmpdir(), 'pmv-')), 'perl');
    cpSync('/usr/bin/perl', copy);
    const forger = ['unshare', '-Urm', 'sh', '-c', mounted, 'sh', copy, ...PERL.slice(1), CONNECT, SERVER_V4, '80'];
    expect(inside(DEVICE, forger)).toBe('refused');
    rmSync(dirname(copy), { recursive: true });
    expect(await driver.next('event')).toMatchObject({
      event: {
        owner: { kind: 'process', executable: '/usr/bin/perl', executableUnproven: true },
        decision: { verdict: 'reject', reason: { kind: 'unknown-owner' } },
      },
    });
    expect(perl(CONNECT, SERVER_V4, 80)).toBe('connected');
  });

  it('the verdict thread knows the user of a datagram whose socket is closed at once', async () => {
    loadRules(true);
    const driver = await startDriver();
    // Stopped, so that nobody looks before the program is gone.
    driver.process.kill('SIGSTOP');
    perl(SEND_AND_END, SERVER_V4, 80);
    driver.process.kill('SIGCONT');
    expect(await driver.next('event')).toMatchObject({
      event: { owner: { kind: 'unknown', uid: process.geteuid?.() }, decision: { reason: { kind: 'unknown-owner' } } },
    });
  });

  it('the verdict thread finds a socket that only a thread with its own descriptors has', async () => {
    loadRules(true);
    const driver = await startDriver();
    inside(DEVICE, ['/usr/bin/python3', '-c', OWN_DESCRIPTORS, SERVER_V4, '80']);
    expect(await driver.next('event')).toMatchObject({ event: { owner: { kind: 'process' } } });
  });

  it('the verdict thread has packets pass that the queue has no room for as soon as the default says so', async () => {
    loadRules(false);
    const driver = await startDriver();
    const droppedInFlood = (): number => {
      const before = packetsDropped();
      // Nobody answers meanwhile.
      driver.process.kill('SIGSTOP');
      perl(FLOOD, SERVER_V4, 80);
      driver.process.kill('SIGCONT');
      return packetsDropped() - before;
    };
    expect(droppedInFlood()).toBeGreaterThan(0);
    driver.tell({ op: 'publish', name: null, whenAway: 'open' });
    await driver.next('published');
    expect(droppedInFlood()).toBe(0);
  });

  it('the verdict thread decides as not matching when the name does not come in time', async () => {
    loadRules(true);
    const driver = await startDriver();
    await sendDatagrams(startPerl(DATAGRAMS, SERVER_V4, 993), 3);
    const { event } = await driver.next('event');
    expect(event).toMatchObject({ decision: { verdict: 'drop', reason: { kind: 'otherwise' } }, packets: 3 });
  });

  it('the verdict thread is refused a queue that another process has', async () => {
    loadRules(true);
    await startDriver();
    const second = new Driver();
    running.push(second);
    expect(await second.next('refused')).toMatchObject({
      code: 'EPERM',
      message: expect.stringContaining('bind queue'),
    });
  });

  it('the verdict thread answers again after the process that held the queue was killed', async () => {
    loadRules(true);
    const first = await startDriver();
    const exited = once(first.process, 'exit');
    first.process.kill('SIGKILL');
    await exited;
    running = [];
    await startDriver();
    expect(perl(CONNECT, SERVER_V4, 80)).toBe('connected');
  });
});
