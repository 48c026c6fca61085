/** The truth that the daemon is measured against: nftables' counters on both ends of the links, and the servers' own count. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import type { NamespacePart } from '../../src/lab/world.ts';
import type { Device } from '../netns/support/device.ts';
import type { Arrived } from './score/score.ts';

const RECEIVER = fileURLToPath(new URL('./receiver.py', import.meta.url));
const TABLE = 'attribution';
/** After everything that could change, refuse or mark a packet. */
const PRIORITY_LAST = 500;
/** Before conntrack and everything else. */
const PRIORITY_FIRST = -400;
const ARRIVED_SETS = `set arrived4 { type ipv4_addr; flags dynamic; size 65535; counter; }
  set arrived6 { type ipv6_addr; flags dynamic; size 65535; counter; }`;

/** On the device: what leaves it, apart for each conntrack mark, and what arrives because it never left. */
const DEVICE_TABLE = `table inet ${TABLE} {
  set left4 { type ipv4_addr . mark; flags dynamic; size 65535; counter; }
  set left6 { type ipv6_addr . mark; flags dynamic; size 65535; counter; }
  ${ARRIVED_SETS}
  chain leaving {
    type filter hook postrouting priority ${PRIORITY_LAST};
    update @left4 { ip daddr . ct mark }
    update @left6 { ip6 daddr . ct mark }
  }
  chain arriving {
    type filter hook prerouting priority ${PRIORITY_FIRST};
    iifname "lo" update @arrived4 { ip daddr }
    iifname "lo" update @arrived6 { ip6 daddr }
  }
}
`;
/** On a router: what comes out of the device's link. */
const ROUTER_TABLE = `table inet ${TABLE} {
  ${ARRIVED_SETS}
  chain arriving {
    type filter hook prerouting priority ${PRIORITY_FIRST};
    iifname "inside" update @arrived4 { ip daddr }
    iifname "inside" update @arrived6 { ip6 daddr }
  }
}
`;

export type ArrivedBy = 'wifi' | 'cell' | 'device';
const ARRIVED_BY: readonly ArrivedBy[] = ['wifi', 'cell', 'device'];

interface Counted extends Arrived {
  readonly address: string;
  readonly mark: number;
}

type Value = string | { readonly concat: readonly [string, number] };
interface Listing {
  readonly nftables: readonly {
    readonly set?: {
      readonly name: string;
      readonly elem?: readonly {
        readonly elem: { readonly val: Value; readonly counter: { readonly packets: number; readonly bytes: number } };
      }[];
    };
  }[];
}

/** Packets, by conntrack mark. */
export type LeftByMark = ReadonlyMap<number, number>;

export class Reference implements AsyncDisposable {
  readonly #device: Device;
  readonly #receiver: ChildProcessWithoutNullStreams;
  readonly #waiting: ((line: string) => void)[] = [];

  private constructor(device: Device, receiver: ChildProcessWithoutNullStreams) {
    this.#device = device;
    this.#receiver = receiver;
    createInterface({ input: receiver.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  /** Counts from now on. The servers take TCP connections to `port` of any address that ends in the internet. */
  static async start(device: Device, port: number): Promise<Reference> {
    await device.must('device', ['nft', '-f', '-'], DEVICE_TABLE);
    for (const part of ['wifi', 'cell'] as const) await device.must(part, ['nft', '-f', '-'], ROUTER_TABLE);
    const [file = '', ...args] = inNamespace(device.id, 'net', ['/usr/bin/python3', RECEIVER, `${port}`]);
    const reference = new Reference(device, spawn(file, args));
    await reference.#line();
    return reference;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#receiver.exitCode !== null || this.#receiver.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#receiver.once('close', resolve));
    this.#receiver.kill('SIGKILL');
    await ended;
  }

  /** Packets to an address that left the device. */
  async left(address: string): Promise<LeftByMark> {
    const counted = await this.#counted('device', 'left');
    return new Map(counted.filter((each) => each.address === address).map(({ mark, count }) => [mark, count]));
  }

  /** Packets to an address that came out of each link, with their bytes. */
  async packets(address: string): Promise<Readonly<Record<ArrivedBy, Arrived>>> {
    const entries = ARRIVED_BY.map(async (part) => {
      const counted = await this.#counted(part, 'arrived');
      const found = counted.find((each) => each.address === address);
      return [part, { count: found?.count ?? 0, bytes: found?.bytes ?? 0 }] as const;
    });
    return Object.fromEntries(await Promise.all(entries)) as Record<ArrivedBy, Arrived>;
  }

  /** Connections to an address that a server took, with their payload. */
  async connections(address: string): Promise<Arrived> {
    const answer = this.#line();
    this.#receiver.stdin.write(`${address}\n`);
    return JSON.parse(await answer) as Arrived;
  }

  #line(): Promise<string> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new Error('the receiver died'));
      this.#receiver.once('close', died);
      this.#waiting.push((line) => {
        this.#receiver.off('close', died);
        resolve(line);
      });
    });
  }

  async #counted(part: NamespacePart, what: 'left' | 'arrived'): Promise<readonly Counted[]> {
    const text = await this.#device.must(part, ['nft', '-j', 'list', 'table', 'inet', TABLE]);
    const { nftables } = JSON.parse(text) as Listing;
    return nftables
      .flatMap(({ set }) => (set?.name.startsWith(what) === true ? (set.elem ?? []) : []))
      .map(({ elem: { val, counter } }) => {
        const [address, mark] = typeof val === 'string' ? [val, 0] : val.concat;
        return { address, mark, count: counter.packets, bytes: counter.bytes };
      });
  }
}
