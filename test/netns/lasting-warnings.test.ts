/** Warnings about what is missing around the daemon: each is said while it lasts, taken back when it is over, and policies hold meanwhile. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/api/status.ts';
import { nodeCommand } from '../../src/kernel/node-command.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const ENTRY = fileURLToPath(new URL('../../dist/main/pointsman.js', import.meta.url));
const DENIED = '203.0.113.10';
const ALLOWED = '203.0.113.20';
const OK = 0;
const REFUSED = 7;
/** Of a program without a policy: its queries are to follow their application. */
const ASKS =
  'rules:\n  - { to: imap.example.org, do: deny }\nvia: { prefer: { name: cellular }, else: any }\notherwise: allow';

let device: Device;
let daemon: Daemon;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('lasting');
  device.writePolicy(
    'org.example.Curl',
    'exec: /usr/bin/curl',
    `rules:\n  - { to: ${DENIED}, do: deny }\notherwise: allow`,
  );
  device.writePolicy('org.example.Asks', `exec: ${device.copyOfPython('asks')}`, ASKS);
});

afterEach(async () => {
  await daemon?.kill();
  await device.pointsman('down');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const curl = async (host: string): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '5', `http://${host}/`])).exitCode;

const says =
  (code: string) =>
  ({ warnings }: Status): boolean =>
    warnings.some((warning) => warning.code === code);

const isSaid = (code: string): Promise<Status> => device.untilStatus(`the warning ${code}`, says(code));
const isOver = (code: string): Promise<Status> =>
  device.untilStatus(`the end of the warning ${code}`, (status) => !says(code)(status));

/** In a mount namespace of the daemon's own: nobody else sees it. */
const withMount =
  (mount: string, ...parameters: readonly string[]) =>
  (command: readonly string[]): readonly string[] => [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
    `${mount}; shift ${parameters.length}; exec "$@"`,
    'sh',
    ...parameters,
    ...command,
  ];

/** Runs in the daemon before its own code. */
const withFault =
  (code: string) =>
  (usual: readonly string[]): readonly string[] => [
    ...nodeCommand('--import', `data:text/javascript,${encodeURIComponent(code)}`, ENTRY),
    ...usual.slice(POINTSMAN.length),
  ];

/** Ends the thread that answers packets, and each that follows it, while the file is there. */
const endingVerdicts = (flag: string): string => `
  import { existsSync } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  import threads from 'node:worker_threads';
  threads.Worker = class extends threads.Worker {
    constructor(file, options) {
      super(file, options);
      if (!String(file).includes('verdict-thread')) return;
      const timer = setInterval(() => { if (existsSync(${JSON.stringify(flag)})) this.terminate(); }, 20);
      this.once('exit', () => clearInterval(timer));
    }
  };
  syncBuiltinESMExports();
`;

/** As inotify(7) answers where a user's watches are used up. */
const withoutWatches = (directory: string, flag: string): string => `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { watch } = fs;
  fs.watch = (path, ...rest) => {
    if (String(path).startsWith(${JSON.stringify(directory)}) && fs.existsSync(${JSON.stringify(flag)}))
      throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' });
    return watch(path, ...rest);
  };
  syncBuiltinESMExports();
`;

describe('the daemon', () => {
  it('says queue-not-served while no thread answers packets, decides what the kernel knows, and answers again', async () => {
    const flag = device.path('ends');
    daemon = await device.startDaemon({ wrap: withFault(endingVerdicts(flag)) });
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, OK]);
    writeFileSync(flag, '');
    expect((await isSaid('queue-not-served')).state).toBe('degraded');
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, OK]);
    rmSync(flag);
    expect((await isOver('queue-not-served')).state).toBe('enforcing');
    // A file that nobody has seen yet has to be asked about.
    const stranger = device.copyOfPython('stranger/curl');
    const connect = `import socket; socket.create_connection(("${ALLOWED}", 80), 5)`;
    expect((await device.run([stranger, '-c', connect])).exitCode).toBe(OK);
  });

  it('says files-not-watched where a directory of policies cannot be watched, and goes by a reload', async () => {
    const flag = device.path('none-left');
    writeFileSync(flag, '');
    daemon = await device.startDaemon({ wrap: withFault(withoutWatches(device.path('etc'), flag)) });
    expect((await isSaid('files-not-watched')).state).toBe('enforcing');
    const policy = (denied: string): void =>
      device.writePolicy(
        'org.example.Curl',
        'exec: /usr/bin/curl',
        `rules:\n  - { to: ${denied}, do: deny }\notherwise: allow`,
      );
    policy(ALLOWED);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([OK, REFUSED]);
    policy(DENIED);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    rmSync(flag);
  });

  it('says dns-not-relayed while somebody else has its port, and listens when it is free', async () => {
    const hold = `
import socket, sys
held = []
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        s = socket.socket(family, kind)
        s.bind((host, 977))
        if kind == socket.SOCK_STREAM: s.listen()
        held.append(s)
open(sys.argv[1], "w").close()
sys.stdin.read()
`;
    const [file = '', ...args] = device.inside(['python3', '-c', hold, device.path('held')]);
    const holder = spawn(file, args, { stdio: ['pipe', 'ignore', 'inherit'] });
    await until(
      'the port to be taken',
      async () => (await device.run(['test', '-e', device.path('held')])).exitCode === 0,
    );
    daemon = await device.startDaemon();
    await isSaid('dns-not-relayed');
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, OK]);
    holder.stdin.end();
    await isOver('dns-not-relayed');
    expect(await device.must('device', ['ss', '-Hltn', 'sport = :977'])).toContain('127.0.0.1:977');
  });

  it('says dns-not-followed where programs ask systemd-resolved by its socket', async () => {
    const file = join(device.stateDir, 'nsswitch.conf');
    writeFileSync(file, 'hosts: files resolve [!UNAVAIL=return] dns\n');
    daemon = await device.startDaemon({ wrap: withMount('mount --bind "$1" /etc/nsswitch.conf', file) });
    await isSaid('dns-not-followed');
    writeFileSync(file, 'hosts: files dns\n');
    await isOver('dns-not-followed');
  });

  it('says programs-not-kept where no BPF file system outlives it; after a crash what is new is refused', async () => {
    const empty = join(device.stateDir, 'empty');
    mkdirSync(empty);
    // Without nsenter it mounts none outside of this mount namespace either.
    const mounts = 'mount --bind "$1" /sys/fs/bpf; mount --bind /bin/false "$(command -v nsenter)"';
    daemon = await device.startDaemon({ wrap: withMount(mounts, empty) });
    await isSaid('programs-not-kept');
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, OK]);
    await daemon.kill();
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, REFUSED]);
  });
});
