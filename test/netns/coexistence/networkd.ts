/** The real systemd-networkd and networkctl, with a bus and files of their own, for both uplinks of the device. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inDevice } from '../daemon/world.ts';
import { ToolOnBus } from './tool-on-bus.ts';
import { runTool, startBus, ToolDaemon } from './tool-process.ts';

const NETWORKD = '/lib/systemd/systemd-networkd';
// Without udev's word for it that a device is ready, networkd waits, unless /sys says that this is a container.
const START = `mount -t sysfs -o ro sysfs /sys && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/netif &&
cd /run/systemd/netif && mkdir links leases lldp && chown -R systemd-network:systemd-network /run/systemd/netif &&
exec ${NETWORKD}`;

const network = (i: string, metric: number): string => `[Match]
Name=u${i}
[Network]
Address=10.9.${i}.2/24
Address=fd09:${i}::2/64
IPv6AcceptRA=no
[Route]
Gateway=10.9.${i}.1
Metric=${metric}
[Route]
Gateway=fd09:${i}::1
Metric=${metric}
`;

export class Networkd extends ToolOnBus {
  static async start(): Promise<Networkd> {
    const dir = mkdtempSync(join(tmpdir(), 'pmnet-'));
    const write = (name: string, text: string): string => {
      const path = join(dir, name);
      writeFileSync(path, text);
      return path;
    };
    mkdirSync(join(dir, 'network'));
    write('network/1.network', network('1', 100));
    write('network/2.network', network('2', 700));
    // Its user must be let in.
    runTool({ overlays: [] }, 'chmod', '-R', 'a+rX', dir);
    const bus = await startBus(dir, write);
    runTool({ overlays: [] }, 'chmod', 'a+rw', join(dir, 'bus'));
    const surroundings = {
      overlays: [[join(dir, 'network'), '/etc/systemd/network']] as const,
      env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${dir}/bus` },
    };
    // It does not get to terms with IPv4 addresses of others that are its own (ERANGE, systemd 252 on Linux 6.18).
    for (const device of ['u1', 'u2']) inDevice('ip', '-4', 'addr', 'flush', 'dev', device);
    const daemon = new ToolDaemon(surroundings, 'sh', '-c', START);
    const networkd = new Networkd(dir, bus, daemon, surroundings);
    try {
      await daemon.ready(hasConfigured);
      return networkd;
    } catch (error) {
      await networkd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Takes away from both devices, and from the routing rules, all that it has not made itself. */
  reconfigure(): void {
    runTool(this.surroundings, 'networkctl', 'reconfigure', 'u1', 'u2');
  }
}

/** The last of what it does to a device are its own default routes; IPv6 has them already. */
function hasConfigured(): boolean {
  const defaults = inDevice('ip', '-4', 'route', 'show', 'default', 'proto', 'static');
  return ['u1', 'u2'].every((device) => defaults.includes(device));
}
