/** The lab's tunnel and outage switches on a kernel whose tun is a module, and that has netem. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { labDown } from '../../../src/lab/lab-down.ts';
import { labCollect } from '../../../src/lab/lab-exec.ts';
import { type LabLinkReport, labLink } from '../../../src/lab/lab-link.ts';
import { labUp } from '../../../src/lab/lab-up.ts';
import type { LinkChange } from '../../../src/lab/link-condition.ts';
import type { LabUplinkName } from '../../../src/lab/world.ts';

const TIMEOUT_MS = 60_000;
/** Times of a processor that is emulated. */
const MANY = 200;

describe("the lab's links on a kernel with netem", () => {
  const lab = { id: 'guestlink', stateDir: join(mkdtempSync(join(tmpdir(), 'lab-')), 'state') };
  const link = (uplink: LabUplinkName, change: LinkChange): Promise<LabLinkReport> =>
    labLink({ ...lab, uplink, change });
  const ping = async (device: string, count: number): Promise<string> => {
    const command = ['ping', '-q', '-n', '-c', `${count}`, '-i', '0.01', '-W', '5', '-I', device, '203.0.113.10'];
    return (await labCollect({ ...lab, command, timeoutMs: TIMEOUT_MS })).stdout;
  };
  const received = (summary: string): number => Number(/(\d+) received/.exec(summary)?.[1]);
  const leastMs = (summary: string): number => Number(/rtt [^=]+= ([\d.]+)/.exec(summary)?.[1]);

  beforeAll(async () => {
    expect((await labUp({ ...lab, withDaemon: false })).notes).toEqual([]);
  });

  afterAll(() => labDown(lab));

  it('the tunnel carries packets, and loses its carrier with wifi and by its far end', async () => {
    expect(received(await ping('vpn0', 3))).toBe(3);
    expect(await link('wifi', { kind: 'down' })).toMatchObject({ carrier: false, dependents: [{ carrier: false }] });
    expect(await link('wifi', { kind: 'up' })).toMatchObject({ carrier: true, dependents: [{ carrier: true }] });
    expect(await link('vpn', { kind: 'down' })).toMatchObject({ carrier: false });
    expect(await link('vpn', { kind: 'up' })).toMatchObject({ carrier: true });
    expect(received(await ping('vpn0', 3))).toBe(3);
  });

  it('netem loses packets in both directions', async () => {
    expect((await link('wifi', { kind: 'loss', lossPercent: 50 })).condition).toEqual({
      lossPercent: 50,
      lossBy: 'netem',
    });
    const answered = received(await ping('wifi0', MANY));
    expect(answered).toBeGreaterThan(0);
    // Were only one direction lossy, about half of them would be answered.
    expect(answered).toBeLessThan(MANY * 0.4);
  });

  it('netem delays a round trip, beside the loss and the rate', async () => {
    await link('wifi', { kind: 'rate', rateBitsPerSecond: 1_000_000 });
    await link('wifi', { kind: 'loss', lossPercent: 5 });
    expect((await link('wifi', { kind: 'delay', delayMs: 300 })).condition).toMatchObject({ delayMs: 300 });
    expect(leastMs(await ping('wifi0', 20))).toBeGreaterThanOrEqual(300);
  });

  it('a link that is cleared is as it was built', async () => {
    expect((await link('wifi', { kind: 'clear' })).condition).toEqual({});
    const summary = await ping('wifi0', 20);
    expect(received(summary)).toBe(20);
    expect(leastMs(summary)).toBeLessThan(300);
    // Cellular has its own 40 ms all the time.
    expect(leastMs(await ping('cell0', 5))).toBeGreaterThanOrEqual(40);
  });
});
