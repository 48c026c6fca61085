/**
 * What the kernel itself sends, by modules that only a stock kernel has: NFS, WireGuard, and SMC, which opens a connection of its own for a
 * program of any user. The other end counts what comes by each uplink.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildNetwork,
  DaemonProcess,
  DEVICE,
  inDevice,
  NET,
  Root,
  removeNetwork,
  SERVER4,
} from '../../netns/daemon/world.ts';
import { until } from '../../netns/support/until.ts';
import { warmUp } from './guest-lab.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');
const MODULES = ['nfsv4', 'wireguard', 'smc'];
const PORTS = { nfs: 2049, wireguard: 51_820, smc: 4433 } as const;
type Sender = keyof typeof PORTS;
/** Emulated, on a machine with much else to do. */
const BUILD_TIMEOUT_MS = 600_000;
const START_TIMEOUT_MS = 300_000;
const TEST_TIMEOUT_MS = 400_000;
const USER = '4242';
const BY_CELLULAR = 'via: { require: { type: cellular }, else: block }\n';
/** Answers each request (RFC 5531) with "program unavailable", so that a mount ends at once and says whether its server was reached. */
const SERVER = `
import socket, struct, sys, threading
PROGRAM_UNAVAILABLE = struct.pack("!5I", 1, 0, 0, 0, 1)
def answer(connection):
    while request := connection.recv(4096):
        connection.sendall(struct.pack("!I", 0x80000018) + request[4:8] + PROGRAM_UNAVAILABLE)
def serve(listening):
    while True:
        threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
for port in map(int, sys.argv[1:]):
    listening = socket.socket()
    listening.bind(("0.0.0.0", port))
    listening.listen()
    threading.Thread(target=serve, args=(listening,)).start()
print("ready", flush=True)
`;
/** AF_SMC is 43; connect(2) takes a sockaddr_in. */
const BY_SMC = `
import ctypes, errno, socket, struct, sys
connecting = socket.socket(43, socket.SOCK_STREAM, 0)
address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(sys.argv[2])) + socket.inet_aton(sys.argv[1]) + bytes(8)
failed = ctypes.CDLL(None, use_errno=True).connect(connecting.fileno(), address, len(address))
print(errno.errorcode[ctypes.get_errno()] if failed else "connected")
`;
/** What mount(8) says of PROG_UNAVAIL, and of a refused connection. */
const REACHED = 'Protocol family not supported';
const REFUSED = 'Connection refused';

let root: Root;
let daemon: DaemonProcess;
let server: ChildProcess;
const mountPoint = mkdtempSync(join(tmpdir(), 'mounted-'));

const inNet = (args: readonly string[], input?: string): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...args], {
    encoding: 'utf8',
    // Who reads no input may have ended before any is written.
    ...(input === undefined ? { stdio: ['ignore', 'pipe', 'pipe'] } : { input }),
  });

function countArrivals(): void {
  const counted = Object.entries(PORTS).flatMap(([sender, port]) =>
    ['n1', 'n2'].map((device) => ({ name: `${sender}_${device}`, device, port })),
  );
  const counters = counted.map(({ name }) => `counter ${name} { }`);
  const rules = counted.map(({ name, device, port }) => `iifname "${device}" th dport ${port} counter name ${name}`);
  const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules.join('\n')}\n}`;
  inNet(['nft', '-f', '-'], `table inet arrivals {\n${counters.join('\n')}\n${chain}\n}\n`);
}

/** By which uplinks anything came since it was asked last. */
function cameBy(sender: Sender): string[] {
  return ['n1', 'n2'].filter((device) => {
    const text = inNet(['nft', '-j', 'reset', 'counter', 'inet', 'arrivals', `${sender}_${device}`]);
    const { nftables } = JSON.parse(text) as { nftables: readonly { readonly counter?: { packets: number } }[] };
    return nftables.some(({ counter }) => counter !== undefined && counter.packets > 0);
  });
}

const toCome = (sender: Sender): Promise<string[]> =>
  until(`${sender} to come`, () => {
    const by = cameBy(sender);
    return by.length > 0 && by;
  });

/** What mount(8) says, and by which uplinks anything came. Soft: the kernel gives up after 90 seconds. */
function mountNfs(): { readonly said: string; readonly by: readonly string[] } {
  cameBy('nfs');
  const options = `addr=${SERVER4},clientaddr=10.9.1.2,vers=4.1,soft,timeo=300,retrans=2`;
  const mount = ['mount', '-i', '-t', 'nfs4', `${SERVER4}:/`, mountPoint, '-o', options];
  const { stderr } = spawnSync('nsenter', [`--net=/run/netns/${DEVICE}`, ...mount], { encoding: 'utf8' });
  return { said: [REACHED, REFUSED].find((text) => stderr.includes(text)) ?? stderr, by: cameBy('nfs') };
}

async function byWireGuard(): Promise<string[]> {
  cameBy('wireguard');
  const ping = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, 'ping', '-i', '1', '10.77.0.2'], { stdio: 'ignore' });
  try {
    return await toCome('wireguard');
  } finally {
    ping.kill('SIGKILL');
  }
}

/** A connection of the kernel's for a program of the user's: what that was told, and by which uplinks anything came. */
function connectBySmc(app: string): { readonly said: string; readonly by: readonly string[] } {
  cameBy('smc');
  const user = ['setpriv', '--reuid', USER, '--regid', USER, '--clear-groups'];
  const program = [root.program(app), '-c', BY_SMC, SERVER4, `${PORTS.smc}`];
  const said = execFileSync('nsenter', [`--net=/run/netns/${DEVICE}`, ...user, ...program], { encoding: 'utf8' });
  return { said: said.trim(), by: cameBy('smc') };
}

/** These policies and no others are in force. */
async function stated(policies: Readonly<Record<string, string>>, systemDefault = ''): Promise<void> {
  rmSync(join(root.dir, 'etc/pointsman/policies'), { recursive: true, force: true });
  for (const [app, text] of Object.entries(policies))
    root.write(`etc/pointsman/policies/${app}.yaml`, `pointsman: 1\napp: ${app}\n${text}`);
  root.write('etc/pointsman/default.yaml', `pointsman: 1\n${systemDefault}`);
  await daemon.reload();
}

async function withExamples(): Promise<void> {
  for (const file of readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml')))
    root.write(`etc/pointsman/policies/${file}`, readFileSync(join(EXAMPLES, file), 'utf8'));
  await daemon.reload();
}

beforeAll(async () => {
  warmUp();
  for (const module of MODULES) execFileSync('modprobe', [module]);
  root = new Root();
  buildNetwork();
  server = spawn('nsenter', [`--net=/run/netns/${NET}`, 'python3', '-c', SERVER, `${PORTS.nfs}`, `${PORTS.smc}`]);
  await new Promise((resolve) => server.stdout?.once('data', resolve));
  countArrivals();
  makeTunnel();
  for (const app of ['denied', 'other']) root.program(app);
  // The user's programs are in it.
  execFileSync('chmod', ['-R', 'a+rX', root.dir]);
  daemon = await DaemonProcess.start(root, [], START_TIMEOUT_MS);
}, BUILD_TIMEOUT_MS);

function makeTunnel(): void {
  const key = (): string => execFileSync('wg', ['genkey'], { encoding: 'utf8' }).trim();
  const peer = execFileSync('wg', ['pubkey'], { encoding: 'utf8', input: key() }).trim();
  const endpoint = `Endpoint = ${SERVER4}:${PORTS.wireguard}\nAllowedIPs = 10.77.0.2/32\n`;
  root.write('wg.conf', `[Interface]\nPrivateKey = ${key()}\n[Peer]\nPublicKey = ${peer}\n${endpoint}`);
  inDevice('ip', 'link', 'add', 'wg0', 'type', 'wireguard');
  inDevice('ip', 'addr', 'add', '10.77.0.1/24', 'dev', 'wg0');
  inDevice('wg', 'setconf', 'wg0', join(root.dir, 'wg.conf'));
  inDevice('ip', 'link', 'set', 'wg0', 'up');
}

afterAll(async () => {
  await daemon?.signal('SIGKILL');
  server?.kill('SIGKILL');
  removeNetwork();
  root?.remove();
});

describe('what the kernel itself sends', () => {
  it('goes as the system routes it, with every example in force', { timeout: TEST_TIMEOUT_MS }, async () => {
    await withExamples();
    expect(mountNfs()).toEqual({ said: REACHED, by: ['n1'] });
    expect(await byWireGuard()).toEqual(['n1']);
  });

  it.each([
    ['otherwise: deny\n', 'n1'],
    [BY_CELLULAR, 'n2'],
  ])('of NFS passes where the default says %j, by its way', { timeout: TEST_TIMEOUT_MS }, async (text, way) => {
    await stated({}, text);
    expect(mountNfs()).toEqual({ said: REACHED, by: [way] });
  });

  it.each([
    ['otherwise: deny\n', { said: REFUSED, by: [] }],
    [`otherwise: allow\n${BY_CELLULAR}`, { said: REACHED, by: ['n2'] }],
  ])('of NFS is held to %j that a policy says of it', { timeout: TEST_TIMEOUT_MS }, async (body, expected) => {
    await stated({ nfs: `match: [{ kernel: nfs }]\n${body}`, root: 'match: [{ user: root }]\notherwise: allow\n' });
    expect(mountNfs()).toEqual(expected);
  });

  it('of NFS is no program of root’s', { timeout: TEST_TIMEOUT_MS }, async () => {
    await stated({ root: 'match: [{ user: root }]\notherwise: deny\n' });
    expect(mountNfs()).toEqual({ said: REACHED, by: ['n1'] });
  });

  describe('for a program of a user, by SMC,', () => {
    it.each([
      ['exec', () => `match: [{ exec: ${root.program('denied')} }]\notherwise: deny\n`],
      ['user', () => `match: [{ user: '${USER}' }]\notherwise: deny\n`],
    ])('does not leave where one of his may not, told by %s', { timeout: TEST_TIMEOUT_MS }, async (_by, policy) => {
      await stated({ denied: policy() });
      expect(connectBySmc('denied')).toEqual({ said: 'ECONNREFUSED', by: [] });
      expect(connectBySmc('other')).toEqual({ said: 'ECONNREFUSED', by: [] });
    });

    it('leaves where none of his is spoken of', { timeout: TEST_TIMEOUT_MS }, async () => {
      await stated({ nobody: "match: [{ user: '4343' }]\notherwise: deny\n" });
      expect(connectBySmc('denied')).toEqual({ said: 'connected', by: ['n1'] });
    });
  });
});
