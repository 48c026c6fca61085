/** What is under way by each uplink and for each application, from the marks and counters of connection tracking. Pure. */
import type { AppTraffic, Traffic } from '../api/uplinks.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { isUplink, readMark } from '../plan/flow-mark.ts';
import { compareText } from '../policy/policy-source.ts';
import { applicationsFirst, type FlowNumbers, GONE_APPS, NOBODY, OTHER_WAYS, WAY_WORDS } from './flow-names.ts';

export interface WayTraffic {
  readonly traffic: Traffic;
  /** Most connections first; the daemon itself last. */
  readonly byApp: readonly AppTraffic[];
}

export interface LiveTraffic {
  /** By the uplink's number. */
  readonly byUplink: ReadonlyMap<number, WayTraffic>;
  /** By what is said of connections by no uplink that there is, in words. */
  readonly byOther: ReadonlyMap<string, WayTraffic>;
}

interface Sum {
  connections: number;
  packets: number;
  bytes: number;
  isCounted: boolean;
}

/** `entries`: decided ones. */
export function liveTraffic(entries: readonly ConntrackEntry[], { apps, uplinks }: FlowNumbers): LiveTraffic {
  const appNames = new Map([...apps].map(([name, id]) => [id, name]));
  const known = new Set(uplinks.values());
  const byWay = new Map<number | string, Map<string, Sum>>();
  for (const entry of entries) {
    const { appId, way } = readMark(entry.mark);
    const key = isUplink(way) && known.has(way) ? way : WAY_WORDS[OTHER_WAYS.get(way) ?? 'unknown'];
    const who = appNames.get(appId) ?? NOBODY.get(appId) ?? GONE_APPS;
    const sums = byWay.get(key) ?? new Map<string, Sum>();
    byWay.set(key, sums.set(who, added(sums.get(who), entry)));
  }
  const found = [...byWay].map(([way, sums]) => [way, wayTraffic(sums)] as const);
  return {
    byUplink: new Map(found.filter((each): each is readonly [number, WayTraffic] => typeof each[0] === 'number')),
    byOther: new Map(found.filter((each): each is readonly [string, WayTraffic] => typeof each[0] === 'string')),
  };
}

const NOTHING: Sum = { connections: 0, packets: 0, bytes: 0, isCounted: false };

function added(sum: Sum = NOTHING, { counters }: ConntrackEntry): Sum {
  const both = (of: 'packets' | 'bytes'): number =>
    counters === undefined ? 0 : Number(counters.original[of] + counters.reply[of]);
  return {
    connections: sum.connections + 1,
    packets: sum.packets + both('packets'),
    bytes: sum.bytes + both('bytes'),
    isCounted: sum.isCounted || counters !== undefined,
  };
}

function wayTraffic(sums: ReadonlyMap<string, Sum>): WayTraffic {
  const all = [...sums.values()].reduce(
    (a, b): Sum => ({
      connections: a.connections + b.connections,
      packets: a.packets + b.packets,
      bytes: a.bytes + b.bytes,
      isCounted: a.isCounted || b.isCounted,
    }),
    NOTHING,
  );
  const byApp = [...sums].map(([app, sum]): AppTraffic => ({ app, ...shown(sum) }));
  byApp.sort((a, b) => applicationsFirst(a, b) || b.connections - a.connections || compareText(a.app, b.app));
  return { traffic: shown(all), byApp };
}

function shown({ connections, packets, bytes, isCounted }: Sum): Traffic {
  return { connections, ...(isCounted && { packets, bytes }) };
}
