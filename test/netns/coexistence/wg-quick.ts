/**
 * The real wg-quick, with a tunnel for everything to the other side of the world: WireGuard of the kernel, or wireguard-go where it
 * has none.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEVICE, eventually, NET, SERVER4 } from '../daemon/world.ts';

/** The client's addresses in the tunnel: what a server sees of a flow that went through it. */
export const TUNNEL = { v4: '10.66.0.2', v6: 'fd66::2' };
const PORT = 51_820;
/** The control sockets of wireguard-go are files in one directory, whatever the network namespace. */
const NAME = `pmw${process.pid}`;
const SERVER_NAME = `pms${process.pid}`;

const wg = (input: string, ...args: readonly string[]): string =>
  execFileSync('wg', args, { encoding: 'utf8', input }).trim();
const inside = (namespace: string, command: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${namespace}`, ...command], { encoding: 'utf8', stdio: 'pipe' });

export class WgQuick implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'pmwg-'));
  readonly #config = join(this.#dir, `${NAME}.conf`);
  readonly #userspace: ChildProcess | undefined;

  private constructor(userspace: ChildProcess | undefined) {
    this.#userspace = userspace;
  }

  /** With the other end in place. */
  static async create(): Promise<WgQuick> {
    const tunnel = new WgQuick(addKernelDevice() ? undefined : await startUserspace());
    try {
      tunnel.#configure();
      return tunnel;
    } catch (error) {
      tunnel[Symbol.dispose]();
      throw error;
    }
  }

  #configure(): void {
    const [server, client] = [wg('', 'genkey'), wg('', 'genkey')];
    this.#configureServer(server, wg(client, 'pubkey'));
    const conf = `[Interface]
PrivateKey = ${client}
Address = ${TUNNEL.v4}/24, ${TUNNEL.v6}/64
[Peer]
PublicKey = ${wg(server, 'pubkey')}
Endpoint = ${SERVER4}:${PORT}
AllowedIPs = 0.0.0.0/0, ::/0
`;
    writeFileSync(this.#config, conf, { mode: 0o600 });
  }

  up(): void {
    inside(DEVICE, ['wg-quick', 'up', this.#config]);
  }

  down(): void {
    inside(DEVICE, ['wg-quick', 'down', this.#config]);
  }

  [Symbol.dispose](): void {
    for (const [namespace, name] of [
      [DEVICE, NAME],
      [NET, SERVER_NAME],
    ] as const) {
      try {
        // wireguard-go ends with its device.
        inside(namespace, ['ip', 'link', 'del', name]);
      } catch {
        // It is gone already.
      }
    }
    this.#userspace?.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true });
  }

  #configureServer(key: string, client: string): void {
    const config = `[Interface]
PrivateKey = ${key}
ListenPort = ${PORT}
[Peer]
PublicKey = ${client}
AllowedIPs = ${TUNNEL.v4}/32, ${TUNNEL.v6}/128
`;
    const path = join(this.#dir, 'server.conf');
    writeFileSync(path, config, { mode: 0o600 });
    inside(NET, ['wg', 'setconf', SERVER_NAME, path]);
    inside(NET, ['ip', 'addr', 'add', '10.66.0.1/24', 'dev', SERVER_NAME]);
    inside(NET, ['ip', 'addr', 'add', 'fd66::1/64', 'dev', SERVER_NAME, 'nodad']);
    inside(NET, ['ip', 'link', 'set', SERVER_NAME, 'up']);
  }
}

function addKernelDevice(): boolean {
  try {
    inside(NET, ['ip', 'link', 'add', SERVER_NAME, 'type', 'wireguard']);
    return true;
  } catch {
    return false;
  }
}

async function startUserspace(): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=/run/netns/${NET}`, 'wireguard-go', '--foreground', SERVER_NAME], {
    stdio: 'ignore',
  });
  await eventually(
    () => inside(NET, ['ip', '-br', 'link']),
    (links) => links.includes(SERVER_NAME) && child.exitCode === null,
  );
  return child;
}
