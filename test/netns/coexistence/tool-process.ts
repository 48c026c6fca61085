/** Other people's programs in the device's network, with files and a message bus of their own: nothing of the machine's is used. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { DEVICE, eventually } from '../daemon/world.ts';

const TOOL_TIMEOUT_MS = 60_000;

export interface Surroundings {
  /** Directories that stand in the place of others, [ours, theirs]. */
  readonly overlays: readonly (readonly [from: string, to: string])[];
  readonly env?: Readonly<Record<string, string>>;
}

// Fixed text: pairs of directories, "--", the program.
const ENTER = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done; shift; exec "$@"';

function commandLine({ overlays }: Surroundings, command: readonly string[]): [string, ...string[]] {
  const enter = ['sh', '-c', ENTER, 'sh', ...overlays.flat(), '--', ...command];
  return ['nsenter', `--net=/run/netns/${DEVICE}`, 'unshare', '--mount', '--propagation', 'slave', '--', ...enter];
}

/** Stdout of a tool that must succeed. */
export function runTool(surroundings: Surroundings, ...command: readonly string[]): string {
  const [file, ...args] = commandLine(surroundings, command);
  const env = { ...process.env, ...surroundings.env };
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', env, timeout: TOOL_TIMEOUT_MS });
  if (status !== 0) throw new Error(`${command.join(' ')}: exit status ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** A daemon in the foreground. */
export class ToolDaemon {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = '';

  constructor(surroundings: Surroundings, ...command: readonly string[]) {
    const [file, ...args] = commandLine(surroundings, command);
    const env = { ...process.env, ...surroundings.env };
    this.#child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  /** Until `isReady`. Rejects with what it said where it ended or took too long. */
  async ready(isReady: () => boolean): Promise<void> {
    await eventually(isReady, (ready) => {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#output}`);
      return ready;
    });
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}

/** A system bus that lets everybody do everything. */
export async function startBus(dir: string, write: (name: string, text: string) => string): Promise<ToolDaemon> {
  const socket = `${dir}/bus`;
  const config = write('bus.conf', BUS_CONFIG.replace('SOCKET', socket));
  const bus = new ToolDaemon({ overlays: [] }, 'dbus-daemon', `--config-file=${config}`, '--nofork', '--nopidfile');
  try {
    await bus.ready(() => existsSync(socket));
    return bus;
  } catch (error) {
    await bus.stop();
    throw error;
  }
}

const BUS_CONFIG = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
`;
