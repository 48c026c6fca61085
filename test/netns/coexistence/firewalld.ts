/** The real firewalld, from Debian's package, which is not installed: it would guard this machine from the next boot on. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ForeignTool } from './foreign-tool.ts';
import { runTool, type Surroundings, startBus, ToolDaemon } from './tool-process.ts';
import { unpackedPackage } from './unpacked-package.ts';

const PYTHON = '/usr/bin/python3';

const zone = (port: number): string => `<zone><short>Public</short><port port="${port}" protocol="tcp"/></zone>\n`;
const outgoing = (port: number): string => `<policy target="CONTINUE">
  <ingress-zone name="HOST"/>
  <egress-zone name="ANY"/>
  <rule family="ipv4"><port port="${port}" protocol="tcp"/><reject type="tcp-reset"/></rule>
</policy>
`;

/** `out` is a port that nobody may connect to, `open` one that others may. */
export async function firewalld(ports: { readonly out: number; readonly open: number }): Promise<ForeignTool> {
  const unpacked = await unpackedPackage('firewalld');
  const dir = mkdtempSync(join(tmpdir(), 'pmfwd-'));
  const write = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };
  cpSync(join(unpacked, 'etc/firewalld'), join(dir, 'etc'), { recursive: true });
  for (const name of ['zones', 'policies']) mkdirSync(join(dir, 'etc', name), { recursive: true });
  write('etc/zones/public.xml', zone(ports.open));
  write('etc/policies/outgoing.xml', outgoing(ports.out));
  const surroundings: Surroundings = { overlays: [], env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${dir}/bus` } };
  const bus = await startBus(dir, write);
  const command = (...args: readonly string[]): string =>
    runTool(surroundings, PYTHON, join(unpacked, 'usr/bin/firewall-cmd'), ...args);
  const isRunning = (): boolean => {
    try {
      return command('--state').includes('running');
    } catch {
      return false;
    }
  };
  let daemon: ToolDaemon | undefined;
  const stop = async (): Promise<void> => {
    await daemon?.stop();
    daemon = undefined;
  };
  return {
    start: async () => {
      const configs = ['--system-config', join(dir, 'etc'), '--default-config', join(unpacked, 'usr/lib/firewalld')];
      const log = ['--log-file', join(dir, 'log')];
      const program = join(unpacked, 'usr/sbin/firewalld');
      daemon = new ToolDaemon(surroundings, PYTHON, program, '--nofork', '--nopid', ...configs, ...log);
      await daemon.ready(isRunning);
    },
    restart: async () => {
      command('--complete-reload');
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await bus.stop();
      rmSync(dir, { recursive: true });
    },
  };
}
