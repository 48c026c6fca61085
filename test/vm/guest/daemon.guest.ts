import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GuestLab, openGuestLab, SINK_PORT } from './guest-lab.ts';

const CURL = ['/usr/bin/curl', '-sS', '--max-time', '20'] as const;
/** curl(1): the connection was refused, and did not just fail to come about in time (28). */
const CURLE_COULDNT_CONNECT = 7;
const NC = ['/usr/bin/nc.openbsd', '-n', '-N', '-w', '10'] as const;
const NC_UDP = ['/usr/bin/nc.openbsd', '-n', '-u', '-w', '3'] as const;
const PYTHON = ['/usr/bin/python3', '-c'] as const;
const V4 = '203.0.113.10';
const V6 = '2001:db8:113::10';

// The first datagram's verdict is there long before the others leave.
const ONE_WAY = `
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
to = (sys.argv[1], int(sys.argv[2]))
s.sendto(b'first', to)
time.sleep(2)
for n in range(19): s.sendto(b'later', to)
`;
const WHOM_THEY_SAW = `
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode().strip())
`;
const HOLD = `
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 7), 20)
s.sendall(b'a'); assert s.recv(1) == b'a'
open(sys.argv[2] + '/opened', 'w').close()
while not os.path.exists(sys.argv[2] + '/go-on'): time.sleep(0.1)
s.sendall(b'b'); assert s.recv(1) == b'b'
print('kept')
`;

describe('the daemon on a kernel with nft queue', () => {
  let lab: GuestLab;

  beforeAll(async () => {
    lab = await openGuestLab();
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  it('the daemon queues by nft, and takes nothing from xtables', async () => {
    const ruleset = (await lab.run('nft', 'list', 'table', 'inet', 'pointsman')).stdout;
    expect(ruleset).toMatch(/^\s*(?:.* )?queue\b.* to 17700$/m);
    const families = (await lab.run('nft', 'list', 'tables')).stdout;
    expect(families).not.toMatch(/table ip6? mangle/);
  });

  it.each([
    ['allows curl', '-4', V4, '192.168.10.2'],
    ['allows curl', '-6', `[${V6}]`, '2001:db8:10::2'],
  ])('the daemon %s %s, whom the kernel knows by its socket, without being asked', async (_, family, host, source) => {
    const before = await lab.packetsQueued();
    const outcome = await lab.run(...CURL, family, `http://${host}/`);
    expect(outcome).toMatchObject({ exitCode: 0, stdout: `${source}\n`, stderr: '' });
    expect((await lab.packetsQueued()) - before).toBe(0);
  });

  it.each(['203.0.113.40', '[2001:db8:113::40]'])('the daemon refuses curl a denied destination, %s', async (host) => {
    lab.newlySeen();
    const outcome = await lab.run(...CURL, `http://${host}/`);
    expect(outcome.exitCode, outcome.stderr).toBe(CURLE_COULDNT_CONNECT);
    expect(lab.newlySeen()).toEqual([]);
  });

  it.each([V4, V6])('the daemon drops what a policy says to drop, to %s', async (host) => {
    lab.newlySeen();
    const outcome = await lab.run('/usr/bin/nc.openbsd', '-n', '-v', '-z', '-w', '2', host, '993');
    expect(outcome.stderr).toMatch(/timed out|in progress/);
    expect(lab.newlySeen()).toEqual([]);
  });

  it.each([
    [1, 'one that is called as a named program', 'curl', V4],
    [1, 'one that is called as a named program', 'curl', V6],
    [0, 'any other', 'stranger', V4],
    [0, 'any other', 'stranger', V6],
  ])('the daemon is asked about %i packets of a one-way UDP flow of a stranger, %s (%s, to %s)', async (...row) => {
    const [asked, , name, host] = row;
    // A file that nobody has seen yet.
    const directory = `/tmp/${name}-${host === V4 ? 4 : 6}`;
    const stranger = `${directory}/${name}`;
    expect(await lab.run('install', '-D', '/usr/bin/python3', stranger)).toMatchObject({ exitCode: 0 });
    const queued = await lab.packetsQueued();
    const arrived = lab.arrived();
    const outcome = await lab.run(stranger, ...PYTHON.slice(1), ONE_WAY, host, `${SINK_PORT}`);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await lab.packetsQueued()) - queued).toBe(asked);
    expect(lab.arrived()).toEqual({ ...arrived, wifi: arrived.wifi + 20 });
  });

  it.each([
    ['TCP', V4, NC, '10.20.30.2'],
    ['TCP', V6, NC, '2001:db8:20::2'],
    ['UDP', V4, NC_UDP, '10.20.30.2'],
    ['UDP', V6, NC_UDP, '2001:db8:20::2'],
  ] as const)(
    'the daemon sends %s to %s by the uplink of the policy, with its address',
    async (_, host, nc, client) => {
      lab.newlySeen();
      const { wifi } = lab.arrived();
      const outcome = await lab.runWithInput('hello\n', ...nc, host, '7');
      expect(outcome.stdout, outcome.stderr).toBe('hello\n');
      expect(lab.newlySeen()).toEqual([expect.objectContaining({ server: host, port: 7, client })]);
      expect(lab.arrived().wifi).toBe(wifi);
    },
  );

  it('the daemon leaves a flow on its uplink when new ones take another', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'held-'));
    const { cell } = lab.arrived();
    const held = lab.run(...PYTHON, HOLD, V4, dir);
    await until(() => existsSync(join(dir, 'opened')));
    await setUplink(lab, 'wifi', { metered: true });
    await setUplink(lab, 'cellular', { metered: false });
    const other = await lab.run(...PYTHON, WHOM_THEY_SAW, `http://${V4}/`);
    expect(other.stdout, other.stderr).toBe('10.20.30.2\n');
    writeFileSync(join(dir, 'go-on'), '');
    expect(await held).toMatchObject({ exitCode: 0, stdout: 'kept\n' });
    expect(lab.arrived().cell).toBe(cell);
    await setUplink(lab, 'wifi', { metered: false });
    await setUplink(lab, 'cellular', { metered: true });
  });

  it('the daemon refuses at once what has no permitted uplink left, and lets nothing out by another', async () => {
    lab.newlySeen();
    await lab.run('ip', 'link', 'set', 'wifi0', 'down');
    for (const host of [V4, `[${V6}]`]) {
      const outcome = await lab.run(...CURL, `http://${host}/`);
      expect(outcome.exitCode, outcome.stderr).toBe(CURLE_COULDNT_CONNECT);
    }
    expect(lab.newlySeen()).toEqual([]);
    const other = await lab.run(...PYTHON, WHOM_THEY_SAW, `http://${V4}/`);
    expect(other.stdout, other.stderr).toBe('10.20.30.2\n');
  });
});

async function setUplink(lab: GuestLab, name: string, { metered }: { readonly metered: boolean }): Promise<void> {
  const path = join(lab.files.rootDir, 'etc/pointsman/uplinks', `${name}.yaml`);
  const others = readFileSync(path, 'utf8').replace(/^metered:.*\n/m, '');
  writeFileSync(path, `${others}metered: ${metered}\n`);
  const outcome = await lab.pointsman('reload');
  expect(outcome.exitCode, outcome.stderr).toBe(0);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(50);
}
