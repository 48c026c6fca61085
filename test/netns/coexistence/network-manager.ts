/** The real NetworkManager and nmcli, with a bus and files of their own, for both uplinks of the device. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ToolOnBus } from './tool-on-bus.ts';
import { runTool, startBus, ToolDaemon } from './tool-process.ts';

// Where /sys cannot be written, as in a container, it does not wait for udev's word that a device is ready.
const START = `mount -t sysfs -o ro sysfs /sys && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/NetworkManager &&
exec NetworkManager --no-daemon`;

const CONFIG = `[main]
plugins=keyfile
dns=none
no-auto-default=*
auth-polkit=false
[connectivity]
enabled=false
`;

const profile = (i: string, metric: number): string => `[connection]
id=u${i}
type=ethernet
interface-name=u${i}
autoconnect=false
[ipv4]
method=manual
address1=10.9.${i}.2/24
gateway=10.9.${i}.1
route-metric=${metric}
[ipv6]
method=manual
address1=fd09:${i}::2/64
gateway=fd09:${i}::1
route-metric=${metric}
`;

export class NetworkManager extends ToolOnBus {
  /** It takes over what is there. */
  static async start(): Promise<NetworkManager> {
    const dir = mkdtempSync(join(tmpdir(), 'pmnm-'));
    const write = (name: string, text: string): string => {
      const path = join(dir, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    mkdirSync(join(dir, 'etc/system-connections'), { recursive: true });
    write('etc/NetworkManager.conf', CONFIG);
    write('etc/system-connections/u1.nmconnection', profile('1', 100));
    write('etc/system-connections/u2.nmconnection', profile('2', 700));
    const bus = await startBus(dir, write);
    const surroundings = {
      overlays: [[join(dir, 'etc'), '/etc/NetworkManager']] as const,
      env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${dir}/bus` },
    };
    const daemon = new ToolDaemon(surroundings, 'sh', '-c', START);
    const manager = new NetworkManager(dir, bus, daemon, surroundings);
    try {
      await daemon.ready(() => manager.#isReady());
      return manager;
    } catch (error) {
      await manager[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes each device what its profile says, and nothing else. */
  activate(): void {
    for (const id of ['u1', 'u2']) this.#cli('connection', 'up', id);
  }

  #isReady(): boolean {
    try {
      return this.#cli('-g', 'DEVICE,STATE', 'device').includes('u2:connected');
    } catch {
      return false;
    }
  }

  #cli(...args: readonly string[]): string {
    return runTool(this.surroundings, 'nmcli', ...args);
  }
}
