import { beforeEach, describe, expect, it } from 'vitest';
import { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { LoggedPacket } from '../netlink/nflog.ts';
import { ANSWERS_PREFIX } from '../plan/compile-guard.ts';
import { wayMark } from '../plan/reserved.ts';
import type { UplinkState } from '../policy/facts.ts';
import { GuardDrops } from './guard-drops.ts';

const WIFI = 1;
const WIFI_INDEX = 2;
const CELL_INDEX = 3;
const MARK = (wayMark(WIFI) | 7) >>> 0;
const SYN = 0x02;
const ACK = 0x10;

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const FLOW = {
  ...{ source: address('10.9.2.2'), destination: address('203.0.113.9') },
  ...{ sourcePort: 40_000, destinationPort: 80, protocol: IPPROTO_TCP },
};
const wifi: UplinkState = {
  ...{ name: 'wifi', id: WIFI, device: 'u1', deviceIndex: WIFI_INDEX, up: true, v4: true, v6: true },
  ...{ addresses: [], onLink: [], gateways: {} },
};

/** RFC 791 section 3.1, and the first 20 bytes behind it. */
function logged(protocol: number, flags: number, ifIndexOut = CELL_INDEX, prefix = 'another device'): LoggedPacket {
  const payload = new Uint8Array(40);
  payload.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 9, 2, 2, 203, 0, 113, 9]);
  payload.set([40_000 >> 8, 40_000 & 0xff, 0, 80], 20);
  payload.set([0x50, flags], 32);
  return { group: 17701, hook: 4, hwProtocol: 0x0800, prefix, mark: MARK, ifIndexOut, payload };
}

describe('GuardDrops', () => {
  let kernel: FakeKernel;
  let told: Flow[];
  let drops: GuardDrops;

  beforeEach(() => {
    kernel = new FakeKernel();
    told = [];
    drops = new GuardDrops({
      connections: kernel.connections,
      uplinks: () => [wifi],
      deviceName: (index) => (index === CELL_INDEX ? 'u2' : undefined),
      tell: (flow) => told.push(flow),
    });
  });

  it('hear() ends a connection whose socket is bound to the device of another uplink, and tells it', () => {
    kernel.connections.connect({ ...FLOW, deviceIndex: CELL_INDEX });
    drops.hear([logged(IPPROTO_TCP, SYN)]);
    expect(kernel.connections.isOpen(FLOW)).toBe(false);
    expect(told).toMatchObject([{ chosenDevice: 'u2', destinationPort: 80 }]);
    expect(drops.counts).toEqual({ opening: 1, other: 0, answers: 0, ended: 1 });
  });

  it('hear() leaves a connection alone whose socket is bound to nothing: its route comes back', () => {
    kernel.connections.connect(FLOW);
    drops.hear([logged(IPPROTO_TCP, SYN)]);
    expect(kernel.connections.isOpen(FLOW)).toBe(true);
    expect(drops.counts).toMatchObject({ opening: 1, ended: 0 });
  });

  it('hear() leaves a connection alone that is bound to what is the device of its uplink by now', () => {
    kernel.connections.connect({ ...FLOW, deviceIndex: WIFI_INDEX });
    drops.hear([logged(IPPROTO_TCP, SYN, WIFI_INDEX)]);
    expect(kernel.connections.isOpen(FLOW)).toBe(true);
  });

  it('hear() leaves a connection alone that has been made', () => {
    kernel.connections.connect({ ...FLOW, deviceIndex: CELL_INDEX });
    drops.hear([logged(IPPROTO_TCP, ACK)]);
    expect(kernel.connections.isOpen(FLOW)).toBe(true);
    expect(drops.counts).toMatchObject({ opening: 0, other: 1, ended: 0 });
  });

  it('hear() tells of a datagram, whose sender has been refused already, and only counts what answers', () => {
    drops.hear([logged(IPPROTO_UDP, 0), logged(IPPROTO_TCP, ACK, CELL_INDEX, ANSWERS_PREFIX)]);
    expect(told).toMatchObject([{ protocol: IPPROTO_UDP, chosenDevice: 'u2' }]);
    expect(drops.counts).toEqual({ opening: 0, other: 1, answers: 1, ended: 0 });
  });

  it('hear() goes on with what cannot be read', () => {
    drops.hear([{ ...logged(IPPROTO_TCP, SYN), payload: new Uint8Array(3) }, logged(IPPROTO_UDP, 0)]);
    expect(told).toHaveLength(1);
    expect(drops.counts).toMatchObject({ other: 2 });
  });

  it('warning says that the kernel does not end connections, until it does', () => {
    kernel.connections.connect({ ...FLOW, deviceIndex: CELL_INDEX });
    kernel.failures.failNext(
      'abort connection',
      new KernelError('destroy socket', 95, 'EOPNOTSUPP', 'one', 'not supported'),
    );
    drops.hear([logged(IPPROTO_TCP, SYN)]);
    expect(drops.warning?.message).toContain('not supported');
    drops.hear([logged(IPPROTO_TCP, SYN)]);
    expect(drops.warning).toBeUndefined();
  });
});
