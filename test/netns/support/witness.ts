/** Sees what really arrives at the far end of a link, by two means that know nothing of each other. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inNamespace } from '../../../src/lab/namespace-command.ts';
import type { LabHost, NamespacePart } from '../../../src/lab/world.ts';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./witness.py', import.meta.url));
const TABLE = 'witness';
/** Before conntrack and everything else. */
const PRIORITY = -400;

export interface WitnessOptions {
  readonly part: Extract<NamespacePart, 'wifi' | 'cell'>;
  /** Packets to these count; others have their own business. */
  readonly hosts: readonly LabHost[];
}

export class Witness implements AsyncDisposable {
  readonly #device: Device;
  readonly #part: NamespacePart;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #captured: string[] = [];

  private constructor(device: Device, part: NamespacePart, child: ChildProcessWithoutNullStreams) {
    this.#device = device;
    this.#part = part;
    this.#child = child;
  }

  /** Watches the router's end of a link of the device from now on. */
  static async start(device: Device, { part, hosts }: WitnessOptions): Promise<Witness> {
    await device.must(part, ['nft', '-f', '-'], ruleset(hosts));
    const addresses = hosts.flatMap(({ v4, v6 }) => [v4, v6]);
    const [file = '', ...args] = inNamespace(device.id, part, ['/usr/bin/python3', SCRIPT, 'inside', ...addresses]);
    const witness = new Witness(device, part, spawn(file, args));
    const lines = createInterface({ input: witness.#child.stdout });
    await new Promise((resolve) => lines.once('line', resolve));
    lines.on('line', (line) => witness.#captured.push(line));
    return witness;
  }

  /** "SOURCE DESTINATION" of each packet. */
  get captured(): readonly string[] {
    return this.#captured;
  }

  /** The router's own count, from nft. */
  async counted(): Promise<number> {
    const text = await this.#device.must(this.#part, ['nft', '-j', 'list', 'counters', 'table', 'inet', TABLE]);
    const listing = JSON.parse(text) as { readonly nftables: readonly { readonly counter?: { packets: number } }[] };
    return listing.nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
    await this.#device.must(this.#part, ['nft', 'delete', 'table', 'inet', TABLE]);
  }
}

function ruleset(hosts: readonly LabHost[]): string {
  const set = (family: 'v4' | 'v6'): string => hosts.map((host) => host[family]).join(', ');
  return `table inet ${TABLE} {
  counter arrived {}
  chain prerouting {
    type filter hook prerouting priority ${PRIORITY};
    iifname "inside" ip daddr { ${set('v4')} } counter name arrived
    iifname "inside" ip6 daddr { ${set('v6')} } counter name arrived
  }
}
`;
}
