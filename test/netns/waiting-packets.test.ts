/**
 * Where a base chain goes anywhere in a network namespace, the kernel drops all that waits in its packet queues, whosever they are. None of
 * ours goes while a daemon runs. The queue here is another one's, so that what waits waits until the test lets it go.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SelfCheckReport } from '../../src/api/self-check.ts';
import { openClient } from '../../src/cli/client.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const SCRIPT = fileURLToPath(new URL('./support/hold-packets.py', import.meta.url));
const QUEUE = 4242;
const PORT = 4242;
const COUNT = 20;
const SEND = `
import socket, sys
for _ in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
`;
const HOST = INTERNET_HOSTS[0]?.v4 ?? '';
const OF_BOTH = /(goto|jump) (identify_inbound|dns_query|zone_of_query)/;

let device: Device;
let arrivals: Arrivals;
let holder: ChildProcessByStdio<Writable, Readable, null>;
let lines: Interface;

const line = async (): Promise<string> => ((await once(lines, 'line')) as [string])[0];

async function waiting(): Promise<number> {
  const text = await device.must('device', ['cat', '/proc/thread-self/net/netfilter/nfnetlink_queue']);
  const queues = text.split('\n').map((each) => each.trim().split(/\s+/));
  return Number(queues.find(([number]) => number === `${QUEUE}`)?.[2]);
}

/** How many of COUNT datagrams that wait meanwhile arrive. */
async function arrivedOver(meanwhile: () => Promise<unknown>): Promise<number> {
  await device.must('device', ['/usr/bin/python3', '-c', SEND, HOST, `${PORT}`, `${COUNT}`]);
  await until('all to wait', async () => (await waiting()) === COUNT);
  await meanwhile();
  const left = await waiting();
  const released = line();
  holder.stdin.write('\n');
  await released;
  let arrived = 0;
  await until('what still waited to arrive', async () => {
    arrived += await arrivals.take();
    return arrived >= left;
  });
  return arrived;
}

async function reload(): Promise<void> {
  expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
}

/** Where somebody changed something just then it is asked again. */
async function checkSelf(tries = 20): Promise<void> {
  const report = await openClient(labFiles(device.stateDir).socket).post<SelfCheckReport>('/v1/self-check');
  if (report.notDone === undefined) return;
  if (tries === 0) throw new Error(report.notDone);
  await checkSelf(tries - 1);
}

const chains = async (): Promise<string> => device.must('device', ['nft', 'list', 'table', 'inet', 'pointsman']);

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('waiting');
  const all = 'via: { require: { name: wifi }, else: block }\naccept: lan';
  device.writePolicy('all', 'exec: /usr/bin/curl', `rules: [{ to: "www.example.org:80", do: allow }]\n${all}`);
  await device.startDaemon();
  const match = ['-p', 'udp', '--dport', `${PORT}`];
  const target = ['-j', 'NFQUEUE', '--queue-num', `${QUEUE}`];
  // Behind the daemon's own queue: what it answers goes on at the next hook.
  await device.must('device', ['iptables-nft', '-w', '-t', 'mangle', '-A', 'POSTROUTING', ...match, ...target]);
  const [file = '', ...args] = inNamespace(device.id, 'device', ['/usr/bin/python3', SCRIPT, `${QUEUE}`]);
  holder = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  lines = createInterface({ input: holder.stdout });
  await line();
  arrivals = await Arrivals.start(device, { part: 'wifi', device: 'inside', to: [HOST] });
});

afterAll(async () => {
  if (holder !== undefined) {
    const ended = once(holder, 'close');
    holder.stdin.end();
    await ended;
  }
  await device?.[Symbol.asyncDispose]();
});

describe('what waits in a packet queue', () => {
  it('is lost where a base chain goes, and not where nothing does', async () => {
    expect(await arrivedOver(async () => {})).toBe(COUNT);
    const chain = 'chain c { type filter hook input priority 0; }';
    await device.must('device', ['nft', '-f', '-'], `table inet other { ${chain}; }\n`);
    expect(await arrivedOver(() => device.must('device', ['nft', 'delete', 'table', 'inet', 'other']))).toBe(0);
  });

  it('outlasts the daemon’s check of itself', async () => {
    expect(await arrivedOver(checkSelf)).toBe(COUNT);
    // With what the last one has left.
    expect(await arrivedOver(checkSelf)).toBe(COUNT);
  });

  it('outlasts a look at what the kernel can do', async () => {
    expect(await arrivedOver(() => device.pointsman('doctor'))).toBe(COUNT);
  });

  it('outlasts policies that govern no queries any more, nor who connects', async () => {
    for (const name of ['dns_zone', 'dns', 'input', 'verdict_inbound', 'asks_all'])
      expect(await chains(), name).toContain(`chain ${name} {`);
    expect(await chains()).toMatch(OF_BOTH);
    device.writePolicy('all', 'exec: /usr/bin/curl', 'otherwise: allow');
    expect(await arrivedOver(reload)).toBe(COUNT);
    expect(await chains()).not.toMatch(OF_BOTH);
    device.remove('etc/pointsman/policies/all.yaml');
    expect(await arrivedOver(reload)).toBe(COUNT);
  });
});
