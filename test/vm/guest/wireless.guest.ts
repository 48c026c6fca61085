/** The name of a wireless network, by the kernel's own nl80211, which kernels that run the other tests may lack. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Status } from '../../../src/api/status.ts';
import type { UplinksReport } from '../../../src/api/uplinks.ts';
import { openClient } from '../../../src/cli/client.ts';
import { LinuxKernel } from '../../../src/kernel/linux-kernel.ts';
import { nodeCommand } from '../../../src/kernel/node-command.ts';
import { pathsFor } from '../../../src/store/paths.ts';
import { warmUp } from './guest-lab.ts';
import { WIRELESS_DEVICE, WirelessNetwork } from './wireless-network.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/main/pointsman.js', import.meta.url));
const [HOME, OTHER] = ['Café guest', 'Other'];
/** The processor is emulated, and the device looks for a network before it makes one. */
const PATIENCE = { timeout: 60_000, interval: 200 };

describe("wireless networks on Debian's stock kernel", () => {
  const kernel = LinuxKernel.open();
  const root = mkdtempSync(join(tmpdir(), 'wireless-'));
  const client = openClient(pathsFor(root).socketPath);
  let network: WirelessNetwork;
  let daemon: ChildProcess;

  const device = () => kernel.routing.links().find(({ name }) => name === WIRELESS_DEVICE);
  const ssid = (): string | undefined => kernel.wireless.ssids().get(device()?.index ?? 0);

  beforeAll(warmUp);
  afterAll(async () => {
    if (daemon?.exitCode === null) {
      daemon.kill('SIGTERM');
      await once(daemon, 'exit');
    }
    network?.[Symbol.dispose]();
    kernel[Symbol.dispose]();
  });

  it('Wireless.ssids() is empty on a machine without wireless devices, and loads no module', () => {
    expect(kernel.wireless.ssids()).toEqual(new Map());
    expect(existsSync('/sys/module/cfg80211')).toBe(false);
  });

  it('Wireless.ssids() follows what a device joins and leaves', async () => {
    network = WirelessNetwork.open(() => device()?.index ?? 0);
    expect(ssid()).toBeUndefined();
    network.join(HOME);
    await vi.waitFor(() => expect([ssid(), device()?.lowerUp]).toEqual([HOME, true]), PATIENCE);
    network.leave();
    await vi.waitFor(() => expect(ssid()).toBeUndefined(), PATIENCE);
  });

  it('a profile holds while a device is in the network, and not in another one', async () => {
    const directory = join(root, 'etc/pointsman/profiles');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'cafe.yaml'), `pointsman: 1\nprofile: cafe\nwhen: [{ ssid: ${HOME} }]\n`);
    for (const command of ['addr add 192.0.2.2/24', 'addr add 2001:db8::2/64']) {
      execFileSync('ip', [...command.split(' '), 'dev', WIRELESS_DEVICE]);
    }
    execFileSync('ip', ['route', 'add', 'default', 'via', '192.0.2.1', 'dev', WIRELESS_DEVICE, 'onlink']);
    const [node = '', ...program] = nodeCommand(PROGRAM);
    daemon = spawn(node, [...program, 'up', '--root', root], { stdio: 'inherit' });
    const seen = async () => {
      const { uplinks, profiles } = await client.get<Status>('/v1/status');
      return { up: uplinks.some(({ up }) => up), holds: profiles?.some(({ holds }) => holds) };
    };
    for (const [name, holds] of [
      [HOME, true],
      [OTHER, false],
      [HOME, true],
    ] as const) {
      network.join(name);
      await vi.waitFor(async () => expect(await seen()).toEqual({ up: true, holds }), PATIENCE);
      const report = await client.get<UplinksReport>('/v1/uplinks');
      expect(report.uplinks.map((uplink) => uplink.network?.ssid)).toEqual([name]);
      network.leave();
      await vi.waitFor(async () => expect(await seen()).toEqual({ up: false, holds: false }), PATIENCE);
    }
  });
});
