/** Starts the lab's long-running processes and waits, for a bounded time, until they can be used. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nodeCommand } from '../kernel/node-command.ts';
import { startEnvironment } from '../kernel/start-environment.ts';
import { LabError } from './lab-error.ts';
import { labFiles } from './lab-state.ts';
import { inDevice, inNamespace } from './namespace-command.ts';
import { recordProcess, writeRecord } from './process-record.ts';
import { isExecutable } from './run-tool.ts';
import { TUNNEL_KEY_BYTES, type TunnelEnd } from './tunnel-seal.ts';
import { LAB_UPLINKS, type NamespacePart, ROUTER_INSIDE } from './world.ts';

/** The same file from src/lab and from dist/lab: what runs as a program of its own has to be compiled. */
const SERVERS_ENTRY = new URL('../../dist/lab/servers.js', import.meta.url);
const TUNNEL_ENTRY = new URL('../../dist/lab/tunnel.js', import.meta.url);

/** One that ends is noticed at once; an emulated processor takes its time. */
const SERVERS_TIMEOUT_MS = 60_000;
const DAEMON_TIMEOUT_MS = 90_000;
const POLL_MS = 50;
const LOG_TAIL_LINES = 20;
// sizeof(sun_path) - 1, unix(7)
const MAX_SOCKET_PATH_BYTES = 107;

/** Throws LabError `servers-failed` with the end of the servers' log. */
export async function startServers(id: string, stateDir: string, place: 'net' | 'lan'): Promise<void> {
  const { seenLog, serversLog, serverPids } = labFiles(stateDir);
  const argv = inNamespace(id, place, [...nodeCommand(compiled(SERVERS_ENTRY), place, seenLog)]);
  await startUntilReady(argv, serversLog, serverPids[place], `the lab's servers (${place})`);
}

/** Both ends, with a key that nobody had before. Throws LabError `servers-failed` with the end of their log. */
export async function startTunnel(id: string, stateDir: string): Promise<void> {
  const { tunnelKey, tunnelLog, tunnelPids } = labFiles(stateDir);
  await writeFile(tunnelKey, randomBytes(TUNNEL_KEY_BYTES), { mode: 0o600 });
  const start = (end: TunnelEnd, part: NamespacePart, ...devices: readonly string[]): Promise<void> => {
    const argv = inNamespace(id, part, [...nodeCommand(compiled(TUNNEL_ENTRY), end, tunnelKey, ...devices)]);
    return startUntilReady(argv, tunnelLog, tunnelPids[end], `the lab's vpn (${end} end)`);
  };
  const tunnels = LAB_UPLINKS.flatMap(({ router, device, over }) => {
    const underlay = LAB_UPLINKS.find(({ name }) => name === over)?.device;
    return underlay === undefined
      ? []
      : [start('far', router, ROUTER_INSIDE), start('near', 'device', device, underlay)];
  });
  await Promise.all(tunnels);
}

function compiled(entry: URL): string {
  const path = fileURLToPath(entry);
  if (!existsSync(path)) throw new LabError('servers-failed', `${path} is missing: build first (npm run build)`);
  return path;
}

/** Until it writes its first line. `what` is who it is, for messages. */
async function startUntilReady(argv: readonly string[], log: string, pidPath: string, what: string): Promise<void> {
  const { child, ended } = await startDetached(argv, log, pidPath, { waitsForStdout: true });
  const ready = new Promise<'ready'>((resolve) => child.stdout?.once('data', () => resolve('ready')));
  const outcome = await Promise.race([ready, ended.promise, delay(SERVERS_TIMEOUT_MS, 'late', { ref: false })]);
  child.stdout?.destroy();
  if (outcome === 'ready') return;
  const how = outcome === 'late' ? `not ready after ${SERVERS_TIMEOUT_MS} ms` : 'ended while starting';
  throw new LabError('servers-failed', `${what}: ${how}\n${await logTail(log)}`);
}

/** Starts `COMMAND up --root ROOT` in the device and waits for its socket. Throws LabError `daemon-failed`. */
export async function startDaemon(id: string, stateDir: string, pointsmanCommand: readonly string[]): Promise<void> {
  const files = labFiles(stateDir);
  if (Buffer.byteLength(files.socket) > MAX_SOCKET_PATH_BYTES) {
    throw new LabError('bad-state-dir', `the path of the daemon's socket is too long for Linux: ${files.socket}`);
  }
  if (!isExecutable(pointsmanCommand[0] ?? '')) {
    throw new LabError('daemon-failed', `cannot run ${pointsmanCommand[0] ?? 'an empty command'}`);
  }
  const argv = inDevice(id, stateDir, [...pointsmanCommand, 'up', '--root', files.rootDir]);
  const { ended } = await startDetached(argv, files.daemonLog, files.daemonPid, { waitsForStdout: false });
  const deadlineMs = performance.now() + DAEMON_TIMEOUT_MS;
  while (!(await accepts(files.socket))) {
    const late = performance.now() > deadlineMs;
    if (late || ended.state() !== undefined) {
      const what = late
        ? `gave no sign of life on ${files.socket} within ${DAEMON_TIMEOUT_MS} ms`
        : `ended: ${ended.state()}`;
      throw new LabError('daemon-failed', `the daemon in the lab ${what}\n${await logTail(files.daemonLog)}`);
    }
    await delay(POLL_MS);
  }
}

/** The pid is on disk before anything else happens, so that a lab that fails half-way can still be taken down. */
async function startDetached(
  argv: readonly string[],
  logPath: string,
  pidPath: string,
  options: { readonly waitsForStdout: boolean },
): Promise<{ readonly child: ChildProcess; readonly ended: Ending }> {
  const [file = '', ...args] = argv;
  const log = openSync(logPath, 'a', 0o644);
  try {
    const stdio: StdioOptions = ['ignore', options.waitsForStdout ? 'pipe' : log, log];
    const child = spawn(file, args, { detached: true, stdio, cwd: '/', env: startEnvironment(process.env) });
    child.on('error', () => undefined);
    const ended = endingOf(child);
    child.unref();
    const record = child.pid === undefined ? undefined : recordProcess(child.pid);
    if (record !== undefined) await writeRecord(pidPath, record);
    return { child, ended };
  } finally {
    closeSync(log);
  }
}

/** `state` is undefined while the process runs. */
interface Ending {
  readonly promise: Promise<string>;
  readonly state: () => string | undefined;
}

function endingOf(child: ChildProcess): Ending {
  let state: string | undefined = child.pid === undefined ? 'could not be started' : undefined;
  const promise = new Promise<string>((resolve) => {
    if (state !== undefined) resolve(state);
    child.once('exit', (code, signal) => {
      state = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve(state);
    });
  });
  return { promise, state: () => state };
}

export function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The last lines, indented; says so where there are none. */
export async function logTail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.trimEnd().split('\n').slice(-LOG_TAIL_LINES);
  if (lines.join('') === '') return `  (${path} is empty)`;
  return [`  end of ${path}:`, ...lines.map((line) => `  | ${line}`)].join('\n');
}
