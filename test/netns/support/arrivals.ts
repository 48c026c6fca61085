/** Counts what arrives at one end of a link, by destination, before anything else there sees it. */
import type { NamespacePart } from '../../../src/lab/world.ts';
import type { Device } from './device.ts';

const TABLE = 'arrivals';
/** Before conntrack and everything else. */
const PRIORITY = -400;

export interface ArrivalsOptions {
  readonly part: NamespacePart;
  readonly device: string;
  /** Packets to these count. */
  readonly to: readonly string[];
}

export class Arrivals implements AsyncDisposable {
  readonly #device: Device;
  readonly #part: NamespacePart;

  private constructor(device: Device, part: NamespacePart) {
    this.#device = device;
    this.#part = part;
  }

  static async start(device: Device, { part, device: by, to }: ArrivalsOptions): Promise<Arrivals> {
    const rules = to.map((address) => {
      const field = address.includes(':') ? 'ip6' : 'ip';
      return `iifname "${by}" ${field} daddr ${address} counter name arrived`;
    });
    const chain = `type filter hook prerouting priority ${PRIORITY};\n${rules.join('\n')}`;
    await device.must(
      part,
      ['nft', '-f', '-'],
      `table inet ${TABLE} {\ncounter arrived {}\nchain c {\n${chain}\n}\n}\n`,
    );
    return new Arrivals(device, part);
  }

  /** Since the last time that it was asked. */
  async take(): Promise<number> {
    const text = await this.#device.must(this.#part, ['nft', '-j', 'reset', 'counters', 'table', 'inet', TABLE]);
    const listing = JSON.parse(text) as { readonly nftables: readonly { readonly counter?: { packets: number } }[] };
    return listing.nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device.must(this.#part, ['nft', 'delete', 'table', 'inet', TABLE]);
  }
}
