/** What connections have carried since the daemon started, as `uplinks` shows it. Pure. */
import type { TrafficTotal, TrafficTotals } from '../api/traffic-totals.ts';
import type { AppTotal, TotalsReport } from '../api/uplinks.ts';
import { compareText } from '../policy/policy-source.ts';
import { applicationsFirst, WAY_WORDS } from './flow-names.ts';

export interface UplinkTotals {
  /** By the uplink's name. */
  readonly byUplink: ReadonlyMap<string, readonly AppTotal[]>;
  readonly report: TotalsReport;
}

/** `uplinks`: the names of those that are shown. */
export function uplinkTotals(totals: TrafficTotals, uplinks: readonly string[]): UplinkTotals {
  const byUplink = new Map<string, AppTotal[]>(uplinks.map((name) => [name, []]));
  const others: (AppTotal & { readonly way: string })[] = [];
  for (const { way, uplink, ...total } of totals.accounts) {
    const shown = uplink === undefined ? undefined : byUplink.get(uplink);
    if (shown !== undefined) shown.push(total);
    else others.push({ ...total, way: way === 'uplink' ? `uplink ${uplink}, which has gone` : WAY_WORDS[way] });
  }
  for (const of of [...byUplink.values(), others]) of.sort(byBytes);
  const { accounts: _, isCounted: __, ...report } = totals;
  return { byUplink, report: { ...report, others } };
}

const bytesOf = ({ sent, received }: TrafficTotal): number => (sent?.bytes ?? 0) + (received?.bytes ?? 0);

const byBytes = (a: AppTotal, b: AppTotal): number =>
  applicationsFirst(a, b) || bytesOf(b) - bytesOf(a) || b.begun - a.begun || compareText(a.app, b.app);
