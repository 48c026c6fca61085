import { describe, expect, it } from 'vitest';
import { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { parseAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { MARK_APP, MARK_WAY, wayMark } from '../plan/reserved.ts';
import { AskedFlows } from './asked-flows.ts';

const [source, destination] = [parseAddress('10.9.1.2'), parseAddress('203.0.113.9')];
if (source === undefined || destination === undefined) throw new Error('no addresses');
const WIFI = (wayMark(1) | 7) >>> 0;
const CELLULAR = (wayMark(2) | 7) >>> 0;

function entry(id: number): ConntrackEntry {
  const [sourcePort, destinationPort] = [40_000 + id, 53];
  const original = { protocol: IPPROTO_UDP, source, destination, sourcePort, destinationPort } as const;
  const reply = { ...original, source: destination, destination: source, sourcePort: 53, destinationPort: sourcePort };
  return { original, reply, id, mark: WIFI, zone: 0, status: 0 } as ConntrackEntry;
}

describe('AskedFlows', () => {
  it('forget() takes our bits off flows that nobody has answered, and leaves those that have just been answered', () => {
    const { conntrack } = new FakeKernel();
    const [silent, answered] = [entry(1), entry(2)];
    for (const flow of [silent, answered]) conntrack.addEntry(flow);
    const asked = new AskedFlows(conntrack, () => 0 as MonotonicMs);
    asked.ask([silent, answered]);
    // The thread that answers packets has done so, and nobody has told of it yet.
    conntrack.updateMark(answered, CELLULAR, (MARK_WAY | MARK_APP) >>> 0);
    asked.forget();
    const marks = [silent, answered].map(({ reply }) => conntrack.entryOfReply(reply)?.mark);
    expect(marks).toEqual([0, CELLULAR]);
  });
});
