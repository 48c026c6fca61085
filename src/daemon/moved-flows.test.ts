import { beforeEach, describe, expect, it } from 'vitest';
import { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { parseAddress } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { readMark } from '../plan/flow-mark.ts';
import { UPLINK_NONE, wayMark } from '../plan/reserved.ts';
import { MOVED_AT_ONCE, MOVED_PER_SECOND, MovedFlows } from './moved-flows.ts';

const WIFI = 1;
const refusal = new KernelError('destroy socket', 95, 'EOPNOTSUPP', 'one', 'not supported');

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

function entry(id: number, protocol: number): ConntrackEntry {
  const [source, destination] = [address('10.9.1.2'), address('203.0.113.9')];
  const original = { protocol, source, destination, sourcePort: 40_000 + id, destinationPort: 993 };
  const reply = {
    ...original,
    source: destination,
    destination: source,
    sourcePort: 993,
    destinationPort: 40_000 + id,
  };
  return { original, reply, id, mark: (wayMark(WIFI) | 7) >>> 0, zone: 0, status: 0 };
}

describe('MovedFlows', () => {
  let kernel: FakeKernel;
  let nowMs: number;
  let moved: MovedFlows;

  beforeEach(() => {
    kernel = new FakeKernel();
    nowMs = 0;
    moved = new MovedFlows(kernel, () => nowMs);
  });

  const begin = (id: number, protocol: number, isConnected = true): ConntrackEntry => {
    const flow = entry(id, protocol);
    kernel.conntrack.addEntry(flow);
    if (isConnected) kernel.connections.connect(flow.original);
    return flow;
  };
  const ways = (): number[] => kernel.conntrack.ownEntries().map(({ mark }) => readMark(mark).way);

  it('move() ends connected sockets, and nothing more of them passes', () => {
    const flows = [begin(1, IPPROTO_TCP), begin(2, IPPROTO_UDP)];
    expect(moved.move(flows, [])).toEqual({ ended: 2, left: 0 });
    expect(flows.map(({ original }) => kernel.connections.isOpen(original))).toEqual([false, false]);
    // Of TCP; UDP is decided anew.
    expect(ways()).toEqual([UPLINK_NONE]);
    expect(moved.warning).toBeUndefined();
  });

  it('move() has datagrams decided anew that no connected socket sends', () => {
    moved.move([begin(1, IPPROTO_UDP, false)], []);
    expect(ways()).toEqual([]);
  });

  it('move() has connections reset whose socket is not to be found here', () => {
    moved.move([begin(1, IPPROTO_TCP, false)], []);
    expect(ways()).toEqual([UPLINK_NONE]);
  });

  it('move() goes on where the kernel does not end sockets, and says so until it does', () => {
    const flows = [begin(1, IPPROTO_TCP), begin(2, IPPROTO_UDP)];
    for (const _ of flows) kernel.failures.failNext('abort connection', refusal);
    expect(moved.move(flows, [])).toEqual({ ended: 2, left: 0 });
    expect(ways()).toEqual([UPLINK_NONE]);
    expect(moved.warning?.message).toContain(refusal.message);
    moved.move([begin(3, IPPROTO_TCP)], []);
    expect(moved.warning).toBeUndefined();
  });

  it('move() passes over flows that have ended by themselves', () => {
    const flow = entry(1, IPPROTO_UDP);
    expect(moved.move([flow], [])).toEqual({ ended: 1, left: 0 });
  });

  it('move() takes no more at once, and no more a second, than it may', () => {
    const flows = Array.from({ length: 2000 }, (_, id) => begin(id, IPPROTO_TCP));
    let rest: readonly ConntrackEntry[] = flows;
    const step = (): number => {
      const { ended } = moved.move(rest, []);
      rest = rest.slice(ended);
      return ended;
    };
    expect(step()).toBe(MOVED_AT_ONCE);
    expect(step()).toBe(0);
    let inOneSecond = 0;
    for (let i = 0; i < 100; i += 1) {
      nowMs += 10;
      inOneSecond += step();
    }
    expect(inOneSecond).toBeLessThanOrEqual(MOVED_PER_SECOND);
    expect(inOneSecond).toBeGreaterThan(MOVED_PER_SECOND * 0.9);
    nowMs += 60_000;
    expect(step()).toBe(MOVED_AT_ONCE);
  });
});
