/** Nobody answers the queue: what would have to be asked about gets what the files say, at once. The other end counts. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Talker } from './support/talker.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const WATCHDOG = fileURLToPath(new URL('support/watchdog.py', import.meta.url));
const HOSTS = INTERNET_HOSTS.filter(({ name }) => name === 'updates.example.org');
const [SERVER] = HOSTS;
const V4 = SERVER?.v4 ?? '';
const V6 = SERVER?.v6 ?? '';
const [WIFI] = LAB_UPLINKS;
const HERE4 = WIFI?.access.v4.near ?? '';
const HERE6 = WIFI?.access.v6.near ?? '';
const LISTENING = 8443;
/** Once, and what became of it: the name of an error, `timeout` where nothing was heard, or what came back. */
const ATTEMPT = `
import errno, socket, struct, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
six = ":" in host
family = socket.AF_INET6 if six else socket.AF_INET
types = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "connected-udp": (socket.SOCK_DGRAM, 0)}
type, protocol = types.get(kind) or (socket.SOCK_RAW, 58 if six else 1)
s = socket.socket(family, type, protocol)
s.settimeout(8)
def echo_request():
    head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1)
    total = sum(struct.unpack("!4H", head))
    return head if six else struct.pack("!BBHHH", 8, 0, ~total & 0xffff, 7, 1)
try:
    if kind == "tcp" or kind == "connected-udp":
        s.connect((host, port))
        s.send(b"x")
    else:
        s.sendto(b"x" if kind == "udp" else echo_request(), (host, port if kind == "udp" else 0))
    s.recv(512)
    print("answered")
except socket.timeout:
    print("timeout")
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
`;
const OUTGOING = (['tcp', 'udp', 'connected-udp', 'icmp'] as const).flatMap((kind) =>
  [V4, V6].map((host) => [kind, host] as const),
);
const refusalOf = (kind: string): string => (kind === 'tcp' ? 'ECONNREFUSED' : 'EPERM');

let device: Device;
let untouched: KernelState;
let daemon: Daemon | undefined;
let strangers = 0;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('away');
  untouched = await kernelState(device);
  const python = device.copyOfPython('named');
  device.writePolicy('org.example.Named', `exec: ${python}`, 'otherwise: allow\naccept: ["*:9999"]');
});

afterEach(async () => {
  if (daemon?.ending === undefined) await daemon?.stop();
  await device.pointsman('down');
  expect(await changesSince(device, untouched)).toEqual([]);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** An interpreter that is called as a named program and that nobody has seen: it is always asked about. */
function namesake(): string {
  strangers += 1;
  const path = join(dirname(device.copyOfPython('named')), `${strangers}`, 'named');
  mkdirSync(dirname(path));
  cpSync('/usr/bin/python3', path, { dereference: true });
  return path;
}

async function attempt(program: string, kind: string, host: string): Promise<string> {
  return (await device.run([program, '-c', ATTEMPT, kind, host, '7'])).stdout.trim();
}

async function start(whenAway: 'closed' | 'open'): Promise<Daemon> {
  device.write('etc/pointsman/default.yaml', `pointsman: 1\nwhenAway: ${whenAway}\n`);
  daemon = await device.startDaemon();
  return daemon;
}

async function attemptAll(): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  for (const [kind, host] of OUTGOING) results[`${kind} ${host}`] = await attempt(namesake(), kind, host);
  return results;
}

const each = (result: (kind: string) => string): Record<string, string> =>
  Object.fromEntries(OUTGOING.map(([kind, host]) => [`${kind} ${host}`, result(kind)]));

describe('while nobody answers the queue', () => {
  it('closed: each protocol is told at once, nothing arrives, and the next daemon answers again', async () => {
    const first = await start('closed');
    await first.kill();
    {
      await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
      await using cellular = await Witness.start(device, { part: 'cell', hosts: HOSTS });
      expect(await attemptAll()).toEqual(each(refusalOf));
      expect([...wifi.captured, ...cellular.captured]).toEqual([]);
      expect([await wifi.counted(), await cellular.counted()]).toEqual([0, 0]);
    }
    await start('closed');
    expect(await attemptAll()).toEqual(each(() => 'answered'));
  });

  it('open: everything passes at once, and the next daemon, which is closed, adopts', async () => {
    const first = await start('open');
    await first.kill();
    expect(await attemptAll()).toEqual(each(() => 'answered'));
    const second = await start('closed');
    await second.kill();
    expect(await attemptAll()).toEqual(each(refusalOf));
  });

  it.each([
    ['closed', { ok: false, error: 'ECONNREFUSED' }],
    ['open', { ok: true }],
  ] as const)('%s: who connects to a listener that would have to be asked about is told at once', async (...row) => {
    const [whenAway, result] = row;
    const first = await start(whenAway);
    await first.kill();
    await using listener = Talker.start((command) => device.inside(command), [namesake()]);
    await listener.listen('tcp', LISTENING);
    await listener.listen('udp', LISTENING);
    await using internet = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
    for (const host of [HERE4, HERE6]) {
      expect(await internet.connect('tcp', host, LISTENING)).toMatchObject(result);
      expect(await internet.connect('udp', host, LISTENING)).toMatchObject({ ok: result.ok });
    }
  });

  it('a stopped daemon holds what it has to decide, however long, status says how much, and it is decided when it goes on', async () => {
    const first = await start('closed');
    process.kill(first.pid, 'SIGSTOP');
    const program = namesake();
    const waiting = [V4, V6].map((host) => attempt(program, 'connected-udp', host));
    await until('both to wait in the queue', async () => {
      const queue = await device.must('device', ['cat', '/proc/net/netfilter/nfnetlink_queue']);
      return Number(queue.trim().split(/\s+/)[2]) >= 2;
    });
    const { stderr } = await device.pointsman('status');
    process.kill(first.pid, 'SIGCONT');
    expect(stderr).toContain('waits until it goes on or ends; 2 packets wait for it now');
    // Whoever has not given up meanwhile.
    for (const outcome of await Promise.all(waiting)) expect(['answered', 'timeout']).toContain(outcome);
    expect(await attempt(program, 'udp', V4)).toBe('answered');
  });

  it('closed: a supervisor’s watchdog ends a stopped daemon, and what waits is refused, as what is new', async () => {
    const notifySocket = device.path('notify');
    const watchdog = spawn('python3', [WATCHDOG, notifySocket, '6'], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      let told = '';
      watchdog.stdout.on('data', (chunk: Buffer) => {
        told += chunk.toString();
      });
      await until('the watchdog', () => told.includes('listening'));
      device.write('etc/pointsman/default.yaml', 'pointsman: 1\nwhenAway: closed\n');
      const wrap = (command: readonly string[]): readonly string[] => [
        'env',
        `NOTIFY_SOCKET=${notifySocket}`,
        'WATCHDOG_USEC=6000000',
        ...command,
      ];
      daemon = await device.startDaemon({ wrap });
      const { pid } = daemon;
      watchdog.stdin.write(`${pid}\n`);
      await until('that it is ready, and alive for more than once', () => /READY=1\n(WATCHDOG=1\n){2}/.test(told));
      await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
      process.kill(pid, 'SIGSTOP');
      const program = namesake();
      const waiting = [V4, V6].map((host) => attempt(program, 'tcp', host));
      await until('the end of the daemon', () => told.includes('killed'));
      expect(await daemon.ended()).toBe('SIGKILL');
      // Whoever has not given up meanwhile.
      for (const outcome of await Promise.all(waiting)) expect(['ECONNREFUSED', 'timeout']).toContain(outcome);
      expect(await attempt(program, 'udp', V4)).toBe('EPERM');
      expect(wifi.captured).toEqual([]);
    } finally {
      watchdog.kill('SIGKILL');
    }
  });

  it('closed: connections that wait when the daemon is killed are told when they knock again', async () => {
    const first = await start('closed');
    process.kill(first.pid, 'SIGSTOP');
    const program = namesake();
    const waiting = [V4, V6].map((host) => attempt(program, 'tcp', host));
    await until('both to wait in the queue', async () => {
      const queue = await device.must('device', ['cat', '/proc/net/netfilter/nfnetlink_queue']);
      return Number(queue.trim().split(/\s+/)[2]) >= 2;
    });
    await first.kill();
    expect(await Promise.all(waiting)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });
});
