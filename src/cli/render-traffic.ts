import type { TrafficTotal } from '../api/traffic-totals.ts';
import type { TotalsReport, Traffic } from '../api/uplinks.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `0 B`, `999 B`, `1.2 MB`: SI units, three digits at most. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** `3 connections, 1.2 MB in 1024 packets`; without what is not counted. */
export function trafficText({ connections, packets, bytes }: Traffic): string {
  const head = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
  return bytes === undefined || packets === undefined ? head : `${head}, ${bytesText(bytes)} in ${packets} packets`;
}

/** `5 begun, 3 ended, 1.2 MB sent, 30 MB received`; without what is not counted. */
export function totalText({ begun, ended, sent, received }: TrafficTotal): string {
  const head = `${begun} begun, ${ended} ended`;
  return sent === undefined || received === undefined
    ? head
    : `${head}, ${bytesText(sent.bytes)} sent, ${bytesText(received.bytes)} received`;
}

/** What is to be known of totals; none where there are none. */
export function totalNotes(totals: TotalsReport | undefined): string[] {
  if (totals === undefined) return [];
  const { overruns, isTold, openUnknown } = totals;
  const times = overruns === 1 ? 'once' : `${overruns} times`;
  return [
    '“since start” is since the daemon started, and of connections that have ended, too.',
    ...(overruns > 0 ? [`These are at least so many: ends of connections were lost ${times}.`] : []),
    ...(isTold
      ? []
      : ['Not all of them are counted: net.netfilter.nf_conntrack_events is 0 in this network namespace.']),
    ...(openUnknown === undefined ? [] : [`What is open could not be looked at: ${openUnknown}.`]),
  ];
}

/** What is to be known of these numbers; none where they are complete. */
export function trafficNotes(report: { readonly isCounted: boolean; readonly connectionsUnknown?: string }): string[] {
  if (report.connectionsUnknown !== undefined) return [`Connections are not shown: ${report.connectionsUnknown}.`];
  if (report.isCounted) return ['Traffic is that of connections that are open now, in both directions.'];
  return ['Traffic is not counted here: net.netfilter.nf_conntrack_acct is 0 in this network namespace.'];
}
