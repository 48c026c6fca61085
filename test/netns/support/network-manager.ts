/** The real NetworkManager and ModemManager in the device, on a bus of their own: they see the device's network and no other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { inNamespace } from '../../../src/lab/namespace-command.ts';
import { collect } from '../../../src/lab/run-tool.ts';
import type { Device } from './device.ts';
import { until } from './until.ts';

const COMMAND_TIMEOUT_MS = 120_000;
/** Everybody may everything: only this test's programs know where the bus is. */
const busConfig = (
  socket: string,
): string => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=${socket}</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
`;
const CONFIG = `[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
auth-polkit=false
systemd-resolved=false
no-auto-default=*
[connectivity]
enabled=false
[device]
match-device=interface-name:lan0
managed=0
`;
// A /sys that cannot be written tells NetworkManager that there is no udev here, as in a container.
const ENTER = [
  'mount --make-rprivate /',
  'mount -t sysfs -o ro sysfs /sys',
  'for place in /run /var/lib/NetworkManager /etc/NetworkManager; do mount -t tmpfs tmpfs "$place" || exit 125; done',
  'exec "$@"',
].join('\n');

export class ManagedNetwork implements AsyncDisposable {
  readonly #device: Device;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];

  private constructor(device: Device) {
    this.#device = device;
    this.#directory = device.path('managed');
  }

  /** Resolves when the bus listens; nobody is on it yet. */
  static async start(device: Device): Promise<ManagedNetwork> {
    const network = new ManagedNetwork(device);
    mkdirSync(network.#directory, { recursive: true });
    writeFileSync(network.#path('bus.conf'), busConfig(network.#path('bus')));
    writeFileSync(network.#path('nm.conf'), CONFIG);
    network.#spawn(['dbus-daemon', `--config-file=${network.#path('bus.conf')}`, '--nofork', '--nopidfile']);
    await until('the bus', () => network.#isOnBus('org.freedesktop.DBus'));
    return network;
  }

  /** Prefix of a command that is to find this bus. */
  withBus(command: readonly string[]): readonly string[] {
    return ['env', `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${this.#path('bus')}`, ...command];
  }

  async startNetworkManager(): Promise<ChildProcess> {
    const config = ['--config', this.#path('nm.conf'), '--config-dir', this.#path('none')];
    const child = this.#spawn(['NetworkManager', '--debug', ...config]);
    await until(
      'NetworkManager',
      async () => (await this.nmcli('-t', '-f', 'STARTUP', 'general')).trim() === 'started',
    );
    return child;
  }

  async startModemManager(): Promise<ChildProcess> {
    const child = this.#spawn(['ModemManager', '--debug']);
    await until('ModemManager', () => this.#isOnBus('org.freedesktop.ModemManager1'));
    return child;
  }

  /** Stdout of a command that must succeed. */
  nmcli(...args: readonly string[]): Promise<string> {
    return this.#must(['nmcli', ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The bus last: the others end by themselves when it goes, but not at once.
    for (const child of this.#children.reverse()) await stop(child);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  #inside(command: readonly string[]): readonly string[] {
    return inNamespace(this.#device.id, 'device', this.withBus(command));
  }

  #spawn(command: readonly string[]): ChildProcess {
    const enter = ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', ...command];
    const [file = '', ...args] = this.#inside(enter);
    const child = spawn(file, args, { stdio: 'ignore' });
    this.#children.push(child);
    return child;
  }

  async #must(command: readonly string[]): Promise<string> {
    const outcome = await collect(this.#inside(command), { timeoutMs: COMMAND_TIMEOUT_MS });
    if (outcome.exitCode === 0) return outcome.stdout;
    throw new Error(`${command.join(' ')}: exit code ${outcome.exitCode}\n${outcome.stderr}`);
  }

  async #isOnBus(name: string): Promise<boolean> {
    const bus = 'org.freedesktop.DBus';
    const call = ['busctl', 'call', bus, '/org/freedesktop/DBus', bus, 'NameHasOwner', 's', name];
    return (await this.#must(call)).trim() === 'b true';
  }
}

/** Resolves when it has ended. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
}
