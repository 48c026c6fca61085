/** The lab's outage switches: what programs on the device see, and what the kernel says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { existingNamespaces, labDown } from '../../src/lab/lab-down.ts';
import { labCollect } from '../../src/lab/lab-exec.ts';
import { type LabLinkReport, labLink } from '../../src/lab/lab-link.ts';
import { labStatus } from '../../src/lab/lab-status.ts';
import { labUp } from '../../src/lab/lab-up.ts';
import type { LinkChange } from '../../src/lab/link-condition.ts';
import { collect, type Outcome } from '../../src/lab/run-tool.ts';
import { hasNetem } from '../../src/lab/shape-link.ts';
import { LAB_UPLINKS, type LabUplinkName, namespaceName } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';

const TIMEOUT_MS = 120_000;
const id = `link${process.pid}`;
const parentDir = mkdtempSync(join(tmpdir(), 'pointsman-link-'));
const lab = { id, stateDir: join(parentDir, 'state') };

const link = (uplink: LabUplinkName, change: LinkChange): Promise<LabLinkReport> => labLink({ ...lab, uplink, change });
const inLab = (...command: readonly string[]): Promise<Outcome> =>
  labCollect({ ...lab, command, timeoutMs: TIMEOUT_MS });
const carriers = async (): Promise<Record<string, boolean>> => {
  const { stdout } = await inLab('ip', '-j', 'link', 'show');
  const links = JSON.parse(stdout) as readonly { readonly ifname: string; readonly flags: readonly string[] }[];
  return Object.fromEntries(
    LAB_UPLINKS.map(({ device }) => [
      device,
      links.some((one) => one.ifname === device && one.flags.includes('LOWER_UP')),
    ]),
  );
};
/** After the last of its questions ping waits twice the longest round trip, but at least the time between two of them. */
const ping = async (device: string, count: number, everySeconds = 0.2): Promise<number> => {
  const command = [
    'ping',
    '-q',
    '-n',
    '-c',
    `${count}`,
    '-i',
    `${everySeconds}`,
    '-W',
    '1',
    '-I',
    device,
    '203.0.113.10',
  ];
  return Number(/(\d+) received/.exec((await inLab(...command)).stdout)?.[1]);
};

describe('labLink', () => {
  let netem = false;

  beforeAll(async () => {
    await buildProgram();
    await labUp({ ...lab, withDaemon: false });
    netem = await hasNetem(namespaceName(id, 'wifi'));
  });

  afterAll(async () => {
    await labDown(lab);
    rmSync(parentDir, { recursive: true });
  });

  beforeEach(async () => {
    for (const { name } of LAB_UPLINKS) await link(name, { kind: 'clear' });
  });

  it('labLink() takes the carrier of wifi, and with it that of the tunnel over it; the other ways stay', async () => {
    const report = await link('wifi', { kind: 'down' });
    expect(report).toMatchObject({
      carrier: false,
      condition: { down: true },
      dependents: [{ uplink: 'vpn', carrier: false }],
    });
    expect(await carriers()).toEqual({ wifi0: false, cell0: true, vpn0: false });
    const { stdout } = await inLab('ip', 'route', 'get', '203.0.113.10');
    expect(stdout).toContain('dev cell0');
  });

  it('labLink() gives wifi back as it was, addresses, routes and tunnel', async () => {
    const state = async (): Promise<string> =>
      (await inLab('sh', '-c', 'ip -br a; ip r; ip -6 r')).stdout.replaceAll(/ expires \S+/g, '');
    const before = await state();
    await link('wifi', { kind: 'down' });
    expect(await link('wifi', { kind: 'up' })).toMatchObject({ carrier: true, dependents: [{ carrier: true }] });
    expect((await state()).split('\n').toSorted()).toEqual(before.split('\n').toSorted());
    for (const family of ['-4', '-6']) {
      const { stdout } = await inLab('curl', '-sS', family, '--interface', 'wifi0', 'http://www.example.org/');
      expect(stdout).toMatch(family === '-4' ? /^192\.168\.10\.2$/m : /^2001:db8:10::2$/m);
    }
    expect(await ping('vpn0', 3)).toBe(3);
  });

  it('labLink() takes the carrier of the tunnel alone, by the far end', async () => {
    await link('vpn', { kind: 'down' });
    expect(await carriers()).toEqual({ wifi0: true, cell0: true, vpn0: false });
    await link('vpn', { kind: 'up' });
    expect(await carriers()).toEqual({ wifi0: true, cell0: true, vpn0: true });
  });

  it('labLink() does nothing more the second time', async () => {
    for (const kind of ['down', 'up', 'clear'] as const) {
      const first = await link('wifi', { kind });
      expect(await link('wifi', { kind })).toEqual(first);
    }
  });

  it.each(['wifi0', 'vpn0'])(
    'labLink() loses a part of what %s carries, and says by what; then all, then none',
    async (device) => {
      const name = device === 'wifi0' ? 'wifi' : 'vpn';
      const { condition, carrier } = await link(name, { kind: 'loss', lossPercent: 50 });
      expect({ condition, carrier }).toEqual({
        condition: { lossPercent: 50, lossBy: netem ? 'netem' : 'nft' },
        carrier: true,
      });
      // A quarter comes back; that none or all of 200 do does not happen.
      const answered = await ping(device, 200, 0.002);
      expect(answered).toBeGreaterThan(0);
      expect(answered).toBeLessThan(150);
      await link(name, { kind: 'loss', lossPercent: 100 });
      expect(await ping(device, 5)).toBe(0);
      expect((await carriers())[device]).toBe(true);
      await link(name, { kind: 'loss', lossPercent: 0 });
      expect(await ping(device, 5)).toBe(5);
    },
  );

  it('labLink() makes wifi as narrow as it is told, and wide again', async () => {
    const bytesPerSecond = async (): Promise<number> => {
      const command = ['curl', '-sS', '-4', '-o', '/dev/null', '-w', '%{speed_download}', '--interface', 'wifi0'];
      return Number((await inLab(...command, 'http://www.example.org/bytes/200000')).stdout);
    };
    await link('wifi', { kind: 'rate', rateBitsPerSecond: 1_000_000 });
    const narrow = await bytesPerSecond();
    expect(narrow).toBeGreaterThan(10_000);
    expect(narrow).toBeLessThan(200_000);
    await link('wifi', { kind: 'clear' });
    expect(await bytesPerSecond()).toBeGreaterThan(2 * narrow);
  });

  it('labLink() delays where the kernel can, and otherwise says why not and changes nothing', async () => {
    const delayed = link('wifi', { kind: 'delay', delayMs: 100 });
    if (netem) {
      expect(await delayed).toMatchObject({ condition: { delayMs: 100 } });
      const { stdout } = await inLab('ping', '-n', '-c', '3', '-i', '0.1', '-I', 'wifi0', '203.0.113.10');
      expect(Number(/rtt [^=]+= ([\d.]+)/.exec(stdout)?.[1])).toBeGreaterThanOrEqual(100);
      return;
    }
    await expect(delayed).rejects.toMatchObject({
      code: 'missing-kernel-feature',
      message: expect.stringContaining('netem'),
    });
    expect((await labStatus(lab)).links[0]).toMatchObject({ uplink: 'wifi', condition: {} });
  });

  it('labStatus() shows each uplink as it is', async () => {
    await link('cellular', { kind: 'rate', rateBitsPerSecond: 500_000 });
    await link('vpn', { kind: 'down' });
    const { state, tunnel, links } = await labStatus(lab);
    expect({ state, tunnel, links }).toEqual({
      state: 'up',
      tunnel: true,
      links: [
        { uplink: 'wifi', device: 'wifi0', carrier: true, condition: {} },
        { uplink: 'cellular', device: 'cell0', carrier: true, condition: { rateBitsPerSecond: 500_000 } },
        { uplink: 'vpn', device: 'vpn0', carrier: false, condition: { down: true } },
      ],
    });
  });

  it('labLink() leaves the device’s own queueing disciplines and rulesets to policies', async () => {
    await link('wifi', { kind: 'loss', lossPercent: 10 });
    await link('wifi', { kind: 'rate', rateBitsPerSecond: 1_000_000 });
    expect((await inLab('tc', 'qdisc', 'show', 'dev', 'wifi0')).stdout).not.toMatch(/tbf|netem/);
    expect((await inLab('nft', 'list', 'ruleset')).stdout).toBe('');
  });

  it('labLink() says so where the lab is not up', async () => {
    const elsewhere = { id: `none${process.pid}`, stateDir: join(parentDir, 'none') };
    await expect(labLink({ ...elsewhere, uplink: 'wifi', change: { kind: 'down' } })).rejects.toMatchObject({
      code: 'not-up',
    });
    expect(existingNamespaces(elsewhere.id)).toEqual([]);
  });

  it('the tunnel’s device loses its carrier when the program that is its end is killed', async () => {
    const { stdout } = await collect(['ip', 'netns', 'pids', namespaceName(id, 'device')], { timeoutMs: TIMEOUT_MS });
    const pids = stdout.split('\n').filter(Boolean).map(Number);
    expect(pids).toHaveLength(1);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await expect.poll(carriers).toEqual({ wifi0: true, cell0: true, vpn0: false });
    expect(await labStatus(lab)).toMatchObject({ state: 'broken', tunnel: false });
  });
});
