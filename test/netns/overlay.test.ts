/**
 * An overlay's packets are routed twice: the mark of the inner one says nothing about the way of the outer one, which is the overlay's own
 * and not of the program whose packet is in it.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowsReport } from '../../src/api/who.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, FIRST, NET, once, type Root, SECOND, SERVER4, SERVER6 } from './daemon/world.ts';

const APP = 'mail';
const VIA_SECOND = 'via: { require: { type: cellular }, else: block }';
const PORT = 80;

/** Over what; `net` is part of the addresses at both ends. The far end is beyond the link, where only a default route leads. */
const OVERLAYS = [
  { net: 4, name: 'vx4', local: FIRST.v4, remote: SERVER4 },
  { net: 6, name: 'vx6', local: FIRST.v6, remote: SERVER6 },
] as const;
type Overlay = (typeof OVERLAYS)[number];
const v4 = ({ net }: Overlay, end: 1 | 2): string => `10.88.${net}.${end}`;
const v6 = ({ net }: Overlay, end: 1 | 2): string => `fd88:${net}::${end}`;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

function addOverlay(namespace: string, overlay: Overlay, end: 1 | 2): void {
  const { net, name } = overlay;
  const [local, remote] = end === 2 ? [overlay.local, overlay.remote] : [overlay.remote, overlay.local];
  const ends = ['id', `${net}`, 'local', local, 'remote', remote, 'dstport', `${4780 + net}`, 'udp6zerocsumrx'];
  ip('-n', namespace, 'link', 'add', name, 'type', 'vxlan', ...ends);
  ip('-n', namespace, 'addr', 'add', `${v4(overlay, end)}/24`, 'dev', name);
  ip('-n', namespace, 'addr', 'add', `${v6(overlay, end)}/64`, 'dev', name, 'nodad');
  ip('-n', namespace, 'link', 'set', name, 'up');
}

/** Of the device: what could not be sent because no way was found for the outer packet. */
const carrierErrors = (name: string): number => {
  const [link] = JSON.parse(ip('-n', DEVICE, '-s', '-j', 'link', 'show', 'dev', name)) as [
    { readonly stats64: { readonly tx: { readonly carrier_errors: number } } },
  ];
  return link.stats64.tx.carrier_errors;
};

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  for (const overlay of OVERLAYS) {
    addOverlay(DEVICE, overlay, 2);
    addOverlay(NET, overlay, 1);
  }
  root.policy(APP, `otherwise: allow\n${VIA_SECOND}\n`);
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe.each(OVERLAYS)('an overlay over $remote', (overlay) => {
  it('an overlay is reached by an application with a via, and by others', async () => {
    for (const app of [APP, 'other']) {
      expect(await once(root, app, 'tcp', v4(overlay, 1), PORT)).toBe(v4(overlay, 2));
      expect(await once(root, app, 'tcp', v6(overlay, 1), PORT)).toBe(v6(overlay, 2));
    }
    expect(carrierErrors(overlay.name)).toBe(0);
  });

  it('an overlay changes nothing for what goes out beside it', async () => {
    expect(await once(root, APP, 'tcp', SERVER4, PORT)).toBe(SECOND.v4);
    expect(await once(root, APP, 'tcp', SERVER6, PORT)).toBe(SECOND.v6);
  });
});

/** Somebody else's: it marks what goes into the overlay, and routes by that what carries it. */
class ForeignRouting implements Disposable {
  readonly #overlay: Overlay;
  readonly #mark: string;

  constructor(overlay: Overlay, mark: string) {
    this.#overlay = overlay;
    this.#mark = mark;
    const { net, name, remote } = overlay;
    const marks = `chain m {\ntype route hook output priority -140;\noifname "${name}" meta mark set ${mark}\n}`;
    this.#nft(DEVICE, `table inet foreign {\n${marks}\n}\n`);
    const port = `udp dport ${4780 + net}`;
    const counts = ['n1', 'n2'].map((device) => `iifname "${device}" ${port} counter name ${device}`).join('\n');
    const chain = `chain c {\ntype filter hook prerouting priority -400;\n${counts}\n}`;
    this.#nft(NET, `table inet arrivals {\ncounter n1 {}\ncounter n2 {}\n${chain}\n}\n`);
    const gateway = net === 4 ? '10.9.2.1' : 'fd09:2::1';
    ip('-n', DEVICE, `-${net}`, 'route', 'add', remote, 'via', gateway, 'dev', 'u2', 'table', '99');
    ip('-n', DEVICE, `-${net}`, 'rule', 'add', 'fwmark', mark, 'lookup', '99', 'pref', '99');
  }

  #nft(namespace: string, input: string): void {
    execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'nft', '-f', '-'], { input });
  }

  /** Packets that carry the overlay, by the first and by the second uplink. */
  arrived(): number[] {
    return ['n1', 'n2'].map((device) => {
      const args = [`--net=/run/netns/${NET}`, 'nft', '-j', 'list', 'counter', 'inet', 'arrivals', device];
      const { nftables } = JSON.parse(execFileSync('nsenter', args, { encoding: 'utf8' })) as {
        readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
      };
      return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
    });
  }

  [Symbol.dispose](): void {
    const { net } = this.#overlay;
    ip('-n', DEVICE, `-${net}`, 'rule', 'del', 'fwmark', this.#mark, 'lookup', '99');
    ip('-n', DEVICE, `-${net}`, 'route', 'flush', 'table', '99');
    this.#nft(DEVICE, 'delete table inet foreign');
    this.#nft(NET, 'delete table inet arrivals');
  }
}

describe.each(OVERLAYS)('a mark of somebody else on what goes into an overlay over $remote', (overlay) => {
  // Bits that are ours otherwise, those that are free for all, and both.
  it.each(['0x1234', '0x00340000', '0x03001234', '0xca6d'])('the mark %s routes what carries it', async (mark) => {
    using routing = new ForeignRouting(overlay, mark);
    for (const app of ['other', APP]) {
      expect(await once(root, app, 'tcp', v4(overlay, 1), PORT)).toBe(v4(overlay, 2));
      expect(await once(root, app, 'tcp', v6(overlay, 1), PORT)).toBe(v6(overlay, 2));
    }
    const [first = 0, second = 0] = routing.arrived();
    expect(first).toBe(0);
    expect(second).toBeGreaterThanOrEqual(4);
  });
});

describe.each(OVERLAYS)('what an overlay over $remote sends itself', (overlay) => {
  const inside = overlay.net === 4 ? v4 : v6;

  it('passes where the default denies: what is in it has been decided', async () => {
    root.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
    await daemon.reload();
    expect(await once(root, APP, 'tcp', v4(overlay, 1), PORT)).toBe(v4(overlay, 2));
    expect(await once(root, APP, 'tcp', v6(overlay, 1), PORT)).toBe(v6(overlay, 2));
    expect(await once(root, 'other', 'tcp', inside(overlay, 1), PORT)).not.toBe(inside(overlay, 2));
    // Nor is a program the tunnel, because it sends to its other end.
    expect(await once(root, 'other', 'udp', overlay.remote, 4780 + overlay.net)).toMatch(
      /^E(ACCES|PERM|HOSTUNREACH|CONNREFUSED)$/,
    );
  });

  it('is not sent into the overlay, where the default requires that', async () => {
    const gateway = `gateway: { v4: ${v4(overlay, 1)}, v6: "${v6(overlay, 1)}" }`;
    root.write(
      'etc/pointsman/uplinks/overlay.yaml',
      `pointsman: 1\nuplink: overlay\ndevice: ${overlay.name}\ntype: vpn\n${gateway}\nprobe: off\n`,
    );
    root.write(
      'etc/pointsman/default.yaml',
      'pointsman: 1\notherwise: allow\nvia: { require: { name: overlay }, else: block }\n',
    );
    await daemon.reload();
    // Whoever is to be asked for the address beyond is asked by it, too.
    ip('-n', DEVICE, 'neigh', 'flush', 'dev', overlay.name);
    expect(await once(root, 'other', 'tcp', SERVER4, PORT)).toBe(v4(overlay, 2));
    expect(await once(root, 'other', 'tcp', SERVER6, PORT)).toBe(v6(overlay, 2));
    expect(carrierErrors(overlay.name)).toBe(0);
  });

  it('is told as the kernel’s', async () => {
    const report = await daemon.ask<FlowsReport>('POST', '/v1/who', { flow: `udp :${4780 + overlay.net}` });
    const meanings = report.flows.map(({ conntrack }) => ('meaning' in conntrack ? conntrack.meaning : undefined));
    expect(meanings).toContain('the kernel itself, by the system’s route');
  });
});
