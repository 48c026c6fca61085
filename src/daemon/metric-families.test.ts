import { describe, expect, it } from 'vitest';
import { renderExposition } from '../api/exposition.ts';
import type { MetricFamily } from '../api/metrics.ts';
import type { Status } from '../api/status.ts';
import type { TrafficTotals } from '../api/traffic-totals.ts';
import { metricFamilies } from './metric-families.ts';

const STATUS: Status = {
  ...{ state: 'enforcing', version: '1.2.3', pid: 7, sinceMs: 1_700_000_000_500, root: '/', revision: 4, queue: 'nft' },
  identity: { executables: { inKernel: true }, scripts: { inKernel: true }, children: { inKernel: true } },
  apps: [],
  uplinks: [
    {
      ...{ name: 'wifi', device: 'wlan0', up: true, v4: true, v6: false, properties: '', addresses: [] },
      health: { v4: { state: 'good', rttMs: 12.5, lossRatio: 0.05 }, v6: { state: 'failed' } },
    },
    {
      ...{ name: 'cell', device: 'wwan0', up: false, v4: true, v6: true, properties: '', addresses: [] },
      health: { v4: { state: 'unknown' } },
    },
  ],
  verdicts: { queued: 9, accepted: 5, rejected: 2, dropped: 1, held: 1, undecodable: 0 },
  dns: { asked: 8, answered: 6, failed: 1, mismatched: 1, learned: 3 },
  warnings: [{ code: 'uplink-failed', message: 'wifi', sinceMs: 0 }],
  diagnostics: [],
  residentBytes: 50_000_000,
};

const TRAFFIC: TrafficTotals = {
  ...{ sinceMs: 1_700_000_000_500, overruns: 1, isCounted: true, isTold: false },
  accounts: [
    {
      ...{ app: 'org.example.Mail', way: 'uplink', uplink: 'wifi', begun: 5, ended: 3, open: 2 },
      ...{ sent: { packets: 10, bytes: 9_007_199_254_740_991 }, received: { packets: 20, bytes: 2000 } },
    },
    { app: 'no policy', way: 'system', begun: 1, ended: 1, open: 0 },
  ],
};

const GUARD = { opening: 4, other: 3, answers: 2, ended: 1 };

const GOLDEN = `\
# HELP pointsman_build_info Which version runs.
# TYPE pointsman_build_info gauge
pointsman_build_info{version="1.2.3"} 1
# HELP pointsman_start_time_seconds When the daemon started, in seconds since 1970.
# TYPE pointsman_start_time_seconds gauge
pointsman_start_time_seconds 1700000000.5
# HELP pointsman_resident_memory_bytes Resident memory of the daemon.
# TYPE pointsman_resident_memory_bytes gauge
pointsman_resident_memory_bytes 50000000
# HELP pointsman_state Whether this is the state of the daemon.
# TYPE pointsman_state gauge
pointsman_state{state="starting"} 0
pointsman_state{state="enforcing"} 1
pointsman_state{state="degraded"} 0
pointsman_state{state="blocked"} 0
pointsman_state{state="stopping"} 0
# HELP pointsman_warning Warnings that hold now, by their code.
# TYPE pointsman_warning gauge
pointsman_warning{code="uplink-failed"} 1
# HELP pointsman_file_mistakes Mistakes in files now, by how much they matter: with an error the file is not used.
# TYPE pointsman_file_mistakes gauge
pointsman_file_mistakes{severity="error"} 0
pointsman_file_mistakes{severity="warning"} 0
# HELP pointsman_uplink_up Whether connections of this family can leave by the uplink.
# TYPE pointsman_uplink_up gauge
pointsman_uplink_up{uplink="wifi",device="wlan0",family="ipv4"} 1
pointsman_uplink_up{uplink="wifi",device="wlan0",family="ipv6"} 0
pointsman_uplink_up{uplink="cell",device="wwan0",family="ipv4"} 0
pointsman_uplink_up{uplink="cell",device="wwan0",family="ipv6"} 0
# HELP pointsman_uplink_healthy What probing says of the uplink: 1 works, 0 has failed; absent where nobody knows.
# TYPE pointsman_uplink_healthy gauge
pointsman_uplink_healthy{uplink="wifi",device="wlan0",family="ipv4"} 1
pointsman_uplink_healthy{uplink="wifi",device="wlan0",family="ipv6"} 0
# HELP pointsman_uplink_round_trip_seconds Measured round-trip time of the uplink, smoothed.
# TYPE pointsman_uplink_round_trip_seconds gauge
pointsman_uplink_round_trip_seconds{uplink="wifi",device="wlan0",family="ipv4"} 0.0125
# HELP pointsman_uplink_loss_ratio Measured loss of the uplink, 0 to 1.
# TYPE pointsman_uplink_loss_ratio gauge
pointsman_uplink_loss_ratio{uplink="wifi",device="wlan0",family="ipv4"} 0.05
# HELP pointsman_connections_begun_total Connections that have begun since the daemon started.
# TYPE pointsman_connections_begun_total counter
pointsman_connections_begun_total{app="org.example.Mail",way="uplink",uplink="wifi"} 5
pointsman_connections_begun_total{app="no policy",way="system",uplink=""} 1
# HELP pointsman_connections_ended_total Connections that have ended since the daemon started, those included that had begun before.
# TYPE pointsman_connections_ended_total counter
pointsman_connections_ended_total{app="org.example.Mail",way="uplink",uplink="wifi"} 3
pointsman_connections_ended_total{app="no policy",way="system",uplink=""} 1
# HELP pointsman_connections_open Connections that conntrack holds now.
# TYPE pointsman_connections_open gauge
pointsman_connections_open{app="org.example.Mail",way="uplink",uplink="wifi"} 2
pointsman_connections_open{app="no policy",way="system",uplink=""} 0
# HELP pointsman_connection_bytes_total Bytes of open and ended connections since the daemon started, headers included.
# TYPE pointsman_connection_bytes_total counter
pointsman_connection_bytes_total{app="org.example.Mail",way="uplink",uplink="wifi",direction="sent"} 9007199254740991
pointsman_connection_bytes_total{app="org.example.Mail",way="uplink",uplink="wifi",direction="received"} 2000
# HELP pointsman_connection_packets_total Packets of open and ended connections since the daemon started.
# TYPE pointsman_connection_packets_total counter
pointsman_connection_packets_total{app="org.example.Mail",way="uplink",uplink="wifi",direction="sent"} 10
pointsman_connection_packets_total{app="org.example.Mail",way="uplink",uplink="wifi",direction="received"} 20
# HELP pointsman_connection_event_overruns_total How often ends of connections were lost: from the first on, connections and bytes are at least so many.
# TYPE pointsman_connection_event_overruns_total counter
pointsman_connection_event_overruns_total 1
# HELP pointsman_conntrack_accounting_enabled Whether the kernel counts bytes of new connections (net.netfilter.nf_conntrack_acct).
# TYPE pointsman_conntrack_accounting_enabled gauge
pointsman_conntrack_accounting_enabled 1
# HELP pointsman_conntrack_events_enabled Whether the kernel tells of connections that end (net.netfilter.nf_conntrack_events).
# TYPE pointsman_conntrack_events_enabled gauge
pointsman_conntrack_events_enabled 0
# HELP pointsman_verdicts_total Connections that the daemon decided itself, by verdict.
# TYPE pointsman_verdicts_total counter
pointsman_verdicts_total{verdict="accept"} 5
pointsman_verdicts_total{verdict="reject"} 2
pointsman_verdicts_total{verdict="drop"} 1
# HELP pointsman_queued_packets_total Packets that the kernel has asked the daemon about.
# TYPE pointsman_queued_packets_total counter
pointsman_queued_packets_total 9
# HELP pointsman_undecodable_packets_total Packets asked about that were no IP packets, and dropped.
# TYPE pointsman_undecodable_packets_total counter
pointsman_undecodable_packets_total 0
# HELP pointsman_held_connections Connections that wait to be decided.
# TYPE pointsman_held_connections gauge
pointsman_held_connections 1
# HELP pointsman_dns_queries_total Queries that followed their application.
# TYPE pointsman_dns_queries_total counter
pointsman_dns_queries_total 8
# HELP pointsman_dns_answers_total Answers to those.
# TYPE pointsman_dns_answers_total counter
pointsman_dns_answers_total 6
# HELP pointsman_dns_failures_total Queries that were told that it did not work.
# TYPE pointsman_dns_failures_total counter
pointsman_dns_failures_total 1
# HELP pointsman_dns_mismatches_total Messages of resolvers that answered no query, and were dropped.
# TYPE pointsman_dns_mismatches_total counter
pointsman_dns_mismatches_total 1
# HELP pointsman_dns_learned_names_total Names in rules that an answer brought new addresses for.
# TYPE pointsman_dns_learned_names_total counter
pointsman_dns_learned_names_total 3
# HELP pointsman_guard_drops_total Packets that were about to leave by a device that they may not leave by; at least so many.
# TYPE pointsman_guard_drops_total counter
pointsman_guard_drops_total{what="opening"} 4
pointsman_guard_drops_total{what="other"} 3
pointsman_guard_drops_total{what="answer"} 2
# HELP pointsman_guard_ended_connections_total Connections that were ended because their program chose a device that they may not leave by.
# TYPE pointsman_guard_ended_connections_total counter
pointsman_guard_ended_connections_total 1
`;

/** What a reader of the format 0.0.4 makes of a text; throws where it is none. Written from the format's page alone. */
function parsed(text: string): MetricFamily[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { type?: string; help?: string; samples: MetricFamily['samples'][number][] }>();
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (meta !== null) {
      const [, what, name = '', rest = ''] = meta;
      if (name !== current && families.has(name)) throw new Error(`${name} comes twice`);
      current = name;
      const family = families.get(name) ?? { samples: [] };
      families.set(name, family);
      if (what === 'HELP') family.help = rest.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
      else family.type = rest;
      continue;
    }
    const head = /^([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line)?.[1];
    const family = head === undefined ? undefined : families.get(head);
    if (head === undefined || head !== current || family === undefined) throw new Error(`a stray line: ${line}`);
    const labels: Record<string, string> = {};
    let at = head.length;
    if (line[at] === '{') {
      at += 1;
      while (line[at] !== '}') {
        const name = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(line.slice(at));
        if (name?.[1] === undefined || name[1] in labels) throw new Error(`no label at ${at}: ${line}`);
        at += name[0].length;
        let value = '';
        for (; line[at] !== '"'; at += 1) {
          if (line[at] === undefined) throw new Error(`a label without an end: ${line}`);
          const isEscaped = line[at] === '\\';
          if (isEscaped) at += 1;
          value += isEscaped && line[at] === 'n' ? '\n' : line[at];
        }
        labels[name[1]] = value;
        at += 1;
        if (line[at] === ',') at += 1;
      }
      at += 1;
    }
    const value = /^ (-?[0-9.e+-]+|NaN|[+-]Inf)$/.exec(line.slice(at))?.[1];
    if (value === undefined) throw new Error(`no value: ${line}`);
    family.samples.push({ labels, value: Number(value.replace('Inf', 'Infinity')) });
  }
  return [...families].map(([name, { type, help, samples }]) => {
    if ((type !== 'counter' && type !== 'gauge') || help === undefined) throw new Error(`${name} is not described`);
    return { name, type, help, samples };
  });
}

describe('metricFamilies', () => {
  it('metricFamilies has what status and accounts say, and as text as Prometheus reads it', () => {
    expect(renderExposition(metricFamilies(STATUS, TRAFFIC, GUARD))).toBe(GOLDEN);
  });

  it('metricFamilies has stable names: with a prefix, a unit that is a base unit, and _total on counters alone', () => {
    const families = metricFamilies(STATUS, TRAFFIC, GUARD);
    expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
    for (const { name, type, help, samples } of families) {
      expect(name).toMatch(/^pointsman_[a-z_]+$/);
      expect(name).not.toMatch(/milli|micro|kilo|_ms/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(help).toMatch(/\.$/);
      expect(new Set(samples.map(({ labels }) => JSON.stringify(labels))).size).toBe(samples.length);
    }
  });

  it('metricFamilies says of bytes nothing where the kernel does not count them', () => {
    const accounts = TRAFFIC.accounts.map(({ sent: _, received: __, ...account }) => account);
    const text = renderExposition(metricFamilies(STATUS, { ...TRAFFIC, accounts }, GUARD));
    expect(text).toContain('pointsman_connections_begun_total{');
    expect(text).not.toContain('connection_bytes');
  });

  it('metricFamilies says nothing of connections where nobody counts them', () => {
    const text = renderExposition(metricFamilies(STATUS, undefined, GUARD));
    expect(text).toContain('pointsman_verdicts_total{verdict="accept"} 5\n');
    expect(text).not.toMatch(/pointsman_conn/);
  });
});

describe('renderExposition', () => {
  it('renderExposition is read back as it was', () => {
    const families = metricFamilies(STATUS, TRAFFIC, GUARD);
    expect(parsed(renderExposition(families))).toEqual(families);
  });

  it('renderExposition escapes what ends a label, a line or a help, and writes numbers that are no digits', () => {
    const odd = 'a"b\\c\nd,e}f={"\\n';
    const families: MetricFamily[] = [
      {
        ...{ name: 'a', type: 'gauge', help: 'back\\slash\nline "quoted"' },
        samples: [
          { labels: { x: odd, y: '' }, value: 1e-7 },
          { labels: { x: '\\' }, value: 1e21 },
          { labels: {}, value: Number.NEGATIVE_INFINITY },
          { labels: { x: 'nan' }, value: Number.NaN },
        ],
      },
    ];
    const text = renderExposition(families);
    expect(parsed(text)).toEqual(families);
    expect(text.split('\n')[2]).toBe('a{x="a\\"b\\\\c\\nd,e}f={\\"\\\\n",y=""} 1e-7');
  });

  it('renderExposition leaves out a family that has no sample', () => {
    expect(renderExposition([{ name: 'a', type: 'gauge', help: 'A.', samples: [] }])).toBe('');
  });
});
