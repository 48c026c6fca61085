import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { APP_DAEMON, APP_UNKNOWN, UPLINK_INBOUND, UPLINK_SYSTEM, wayMark } from '../plan/reserved.ts';
import { liveTraffic } from './live-traffic.ts';

const address = parseAddress('192.0.2.1');
if (address === undefined) throw new Error('address');
const tuple = { source: address, destination: address, protocol: 6, sourcePort: 1, destinationPort: 2 };

function entry(way: number, app: number, counted?: readonly [packets: bigint, bytes: bigint]): ConntrackEntry {
  const head = { original: tuple, reply: tuple, id: 1, zone: 0, status: 0, mark: (wayMark(way) | app) >>> 0 };
  if (counted === undefined) return head;
  const [packets, bytes] = counted;
  return { ...head, counters: { original: { packets, bytes }, reply: { packets: 1n, bytes: 100n } } };
}

const NUMBERS = {
  apps: new Map([
    ['mail', 3],
    ['sync', 4],
  ]),
  uplinks: new Map([['wifi', 7]]),
};

describe('liveTraffic', () => {
  it('liveTraffic adds up both directions by uplink and application, most connections first', () => {
    const entries = [entry(7, 3, [4n, 900n]), entry(7, 4, [1n, 50n]), entry(7, 4, [2n, 60n])];
    const { byUplink, byOther } = liveTraffic(entries, NUMBERS);
    expect(byUplink.get(7)).toEqual({
      traffic: { connections: 3, packets: 10, bytes: 1310 },
      byApp: [
        { app: 'sync', connections: 2, packets: 5, bytes: 310 },
        { app: 'mail', connections: 1, packets: 5, bytes: 1000 },
      ],
    });
    expect(byOther.size).toBe(0);
  });

  it('liveTraffic lists the daemon, which asks whether uplinks work, behind all who use them', () => {
    const own = [entry(7, APP_DAEMON), entry(7, APP_DAEMON), entry(7, APP_DAEMON)];
    const { byUplink, byOther } = liveTraffic(
      [...own, entry(7, 3), entry(UPLINK_SYSTEM, APP_DAEMON), entry(UPLINK_SYSTEM, 0)],
      NUMBERS,
    );
    expect(byUplink.get(7)?.byApp).toEqual([
      { app: 'mail', connections: 1 },
      { app: 'pointsman', connections: 3 },
    ]);
    expect(byOther.get('the system’s route')?.byApp.map(({ app }) => app)).toEqual(['no policy', 'pointsman']);
  });

  it('liveTraffic says nothing of bytes where the kernel does not count them', () => {
    expect(liveTraffic([entry(7, 3)], NUMBERS).byUplink.get(7)).toEqual({
      traffic: { connections: 1 },
      byApp: [{ app: 'mail', connections: 1 }],
    });
  });

  it('liveTraffic names what goes by no uplink, or by one that has gone, and whoever has no name', () => {
    const entries = [entry(UPLINK_SYSTEM, 0), entry(UPLINK_INBOUND, 3), entry(9, 3), entry(UPLINK_SYSTEM, APP_UNKNOWN)];
    const { byUplink, byOther } = liveTraffic([...entries, entry(UPLINK_SYSTEM, 77)], NUMBERS);
    expect(byUplink.size).toBe(0);
    expect([...byOther].map(([way, { byApp }]) => [way, byApp.map(({ app }) => app)])).toEqual([
      ['the system’s route', ['applications that have gone', 'no policy', 'unknown programs']],
      ['came in', ['mail']],
      ['an uplink that has gone', ['mail']],
    ]);
  });
});
