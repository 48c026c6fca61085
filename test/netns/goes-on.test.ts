/** What would end another program leaves the daemon enforcing, and is said. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nodeCommand } from '../../src/kernel/node-command.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const ENTRY = fileURLToPath(new URL('../../dist/main/pointsman.js', import.meta.url));
const DENIED = '203.0.113.10';
const ALLOWED = '203.0.113.20';
const OK = 0;
const REFUSED = 7;

let device: Device;
let daemon: Daemon;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('goes');
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

function writePolicy(denied: string): void {
  device.writePolicy(
    'org.example.Curl',
    'exec: /usr/bin/curl',
    `rules:\n  - { to: ${denied}, do: deny }\notherwise: allow`,
  );
}

const warnings = async (): Promise<readonly string[]> => (await device.status()).warnings.map(({ code }) => code);

/** Throws by a timer and leaves a promise rejected, in the daemon's main thread, as soon as the file is there. */
function faulty(flag: string): string {
  const code = `
    import { existsSync } from 'node:fs';
    import { isMainThread } from 'node:worker_threads';
    const fail = (kind) => { if (existsSync(${JSON.stringify(flag)})) throw new Error(kind); };
    if (isMainThread) setInterval(() => fail('thrown by a timer'), 20);
    if (isMainThread) setInterval(async () => fail('rejected by a promise'), 20);
  `;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

describe('the daemon', () => {
  it('goes on where something is thrown that nobody caught, and says so', async () => {
    writePolicy(DENIED);
    const flag = device.path('fail');
    daemon = await device.startDaemon({
      wrap: (usual) => [...nodeCommand('--import', faulty(flag), ENTRY), ...usual.slice(POINTSMAN.length)],
    });
    expect(await warnings()).not.toContain('internal-error');
    writeFileSync(flag, '');
    await until(
      'both faults',
      () => /thrown by a timer/.test(daemon.output) && /rejected by a promise/.test(daemon.output),
    );
    expect(await warnings()).toContain('internal-error');
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([REFUSED, OK]);
    writePolicy(ALLOWED);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    expect([await curl(DENIED), await curl(ALLOWED)]).toEqual([OK, REFUSED]);
    // A line for each fault, not for each time.
    expect(daemon.output.match(/thrown by a timer/g)).toHaveLength(1);
    expect(daemon.ending).toBeUndefined();
    rmSync(flag);
  });

  it('lives where no descriptor is left, keeps deciding, says so, and recovers', async () => {
    writePolicy(DENIED);
    daemon = await device.startDaemon();
    const python = device.copyOfPython('stranger');
    device.writePolicy('org.example.Python', `exec: ${python}`, 'otherwise: deny');
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    const held = readdirSync(`/proc/${daemon.pid}/fd`).length;
    await device.must('device', ['prlimit', `--pid=${daemon.pid}`, `--nofile=${held + 2}:`]);

    // More connections than it can take, to whatever listens.
    const clients: Socket[] = [];
    for (let i = 0; i < 40; i += 1) {
      const client = createConnection(labFiles(device.stateDir).socket);
      client.on('error', () => undefined);
      clients.push(client);
    }
    const flood = device.run([python, '-c', FLOOD]);
    // A change: nft cannot be run.
    writePolicy(ALLOWED);
    await until('it to say so', () => daemon.output.includes('[no-descriptors]'));
    await flood;
    const from = device.seenEnd();
    const attempt = [python, '-c', `import socket; socket.create_connection(("${ALLOWED}", 80), 3)`];
    for (let i = 0; i < 5; i += 1) expect((await device.run(attempt)).exitCode).not.toBe(OK);
    expect(device.seenSince(from)).toEqual([]);
    // By the last good policy.
    expect(await curl(DENIED)).toBe(REFUSED);
    expect(daemon.ending).toBeUndefined();

    for (const client of clients) client.destroy();
    await device.must('device', ['prlimit', `--pid=${daemon.pid}`, '--nofile=20000:']);
    await until('the new policy', async () => (await curl(ALLOWED)) === REFUSED && (await curl(DENIED)) === OK);
    await until('it to be over', () => /over: .*\[no-descriptors\]/.test(daemon.output));
    expect(await warnings()).not.toContain('internal-error');
    expect((await device.status()).state).toBe('enforcing');
  });
});

/** Datagrams and connections of nobody's that have to be asked about, and connections to the relay of queries. */
const FLOOD = `
import socket
for i in range(200):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        try: s.sendto(b"x", ("198.18.0.%d" % i, 9))
        except OSError: pass
kept = []
for i in range(60):
    s = socket.socket()
    s.settimeout(1)
    try:
        s.connect(("127.0.0.1", 977))
        kept.append(s)
    except OSError: pass
`;
