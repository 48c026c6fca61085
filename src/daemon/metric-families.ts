/** What monitoring is told, from what `status` and the accounts of connections say. Pure. */
import type { MetricFamily, MetricSample } from '../api/metrics.ts';
import type { DaemonState, Status, UplinkStatus } from '../api/status.ts';
import type { AccountTotal, TrafficTotals } from '../api/traffic-totals.ts';
import type { FamilyHealth } from '../policy/facts.ts';
import type { GuardCounts } from './guard-drops.ts';

const STATES: readonly DaemonState[] = ['starting', 'enforcing', 'degraded', 'blocked', 'stopping'];
const MS_A_SECOND = 1000;

/**
 * Without `traffic` where nobody counts. Label values are names of applications and uplinks and words of ours: there
 * are as many as those, whatever connects.
 */
export function metricFamilies(status: Status, traffic: TrafficTotals | undefined, guard: GuardCounts): MetricFamily[] {
  const connections = traffic === undefined ? [] : ofConnections(traffic);
  return [
    ...ofDaemon(status),
    ...ofUplinks(status.uplinks.filter(({ notTaken }) => !notTaken)),
    ...connections,
    ...ofDecisions(status),
    ...ofGuard(guard),
  ];
}

function ofDaemon({ version, sinceMs, residentBytes, state, warnings, diagnostics }: Status): MetricFamily[] {
  return [
    gauge('pointsman_build_info', 'Which version runs.', [sample(1, { version })]),
    gauge('pointsman_start_time_seconds', 'When the daemon started, in seconds since 1970.', [
      sample(sinceMs / MS_A_SECOND),
    ]),
    gauge('pointsman_resident_memory_bytes', 'Resident memory of the daemon.', [sample(residentBytes)]),
    gauge(
      'pointsman_state',
      'Whether this is the state of the daemon.',
      STATES.map((each) => sample(each === state ? 1 : 0, { state: each })),
    ),
    gauge(
      'pointsman_warning',
      'Warnings that hold now, by their code.',
      [...new Set(warnings.map(({ code }) => code))].sort().map((code) => sample(1, { code })),
    ),
    gauge(
      'pointsman_file_mistakes',
      'Mistakes in files now, by how much they matter: with an error the file is not used.',
      (['error', 'warning'] as const).map((severity) =>
        sample(diagnostics.filter((mistake) => mistake.severity === severity).length, { severity }),
      ),
    ),
  ];
}

function ofUplinks(uplinks: readonly UplinkStatus[]): MetricFamily[] {
  const each = (value: (uplink: UplinkStatus, family: 'v4' | 'v6') => number | undefined): MetricSample[] =>
    uplinks.flatMap((uplink) =>
      (['v4', 'v6'] as const).flatMap((family) => {
        const of = value(uplink, family);
        const labels = { uplink: uplink.name, device: uplink.device, family: `ip${family}` };
        return of === undefined ? [] : [sample(of, labels)];
      }),
    );
  const ofHealth = (value: (health: FamilyHealth) => number | undefined): MetricSample[] =>
    each(({ health }, family) => {
      const of = health?.[family];
      return of === undefined ? undefined : value(of);
    });
  return [
    gauge(
      'pointsman_uplink_up',
      'Whether connections of this family can leave by the uplink.',
      each((uplink, family) => (uplink.up && uplink[family] ? 1 : 0)),
    ),
    gauge(
      'pointsman_uplink_healthy',
      'What probing says of the uplink: 1 works, 0 has failed; absent where nobody knows.',
      ofHealth(({ state }) => (state === 'unknown' ? undefined : state === 'good' ? 1 : 0)),
    ),
    gauge(
      'pointsman_uplink_round_trip_seconds',
      'Measured round-trip time of the uplink, smoothed.',
      ofHealth(({ rttMs }) => (rttMs === undefined ? undefined : rttMs / MS_A_SECOND)),
    ),
    gauge(
      'pointsman_uplink_loss_ratio',
      'Measured loss of the uplink, 0 to 1.',
      ofHealth(({ lossRatio }) => lossRatio),
    ),
  ];
}

function ofConnections({ accounts, overruns, isCounted, isTold }: TrafficTotals): MetricFamily[] {
  const each = (value: (account: AccountTotal) => number): MetricSample[] =>
    accounts.map((account) => sample(value(account), labelsOf(account)));
  const eachDirection = (unit: 'packets' | 'bytes'): MetricSample[] =>
    accounts.flatMap((account) =>
      (['sent', 'received'] as const).flatMap((direction) => {
        const volume = account[direction];
        return volume === undefined ? [] : [sample(volume[unit], { ...labelsOf(account), direction })];
      }),
    );
  return [
    counter(
      'pointsman_connections_begun_total',
      'Connections that have begun since the daemon started.',
      each(({ begun }) => begun),
    ),
    counter(
      'pointsman_connections_ended_total',
      'Connections that have ended since the daemon started, those included that had begun before.',
      each(({ ended }) => ended),
    ),
    gauge(
      'pointsman_connections_open',
      'Connections that conntrack holds now.',
      each(({ open }) => open),
    ),
    counter(
      'pointsman_connection_bytes_total',
      'Bytes of open and ended connections since the daemon started, headers included.',
      eachDirection('bytes'),
    ),
    counter(
      'pointsman_connection_packets_total',
      'Packets of open and ended connections since the daemon started.',
      eachDirection('packets'),
    ),
    counter(
      'pointsman_connection_event_overruns_total',
      'How often ends of connections were lost: from the first on, connections and bytes are at least so many.',
      [sample(overruns)],
    ),
    gauge(
      'pointsman_conntrack_accounting_enabled',
      'Whether the kernel counts bytes of new connections (net.netfilter.nf_conntrack_acct).',
      [sample(isCounted ? 1 : 0)],
    ),
    gauge(
      'pointsman_conntrack_events_enabled',
      'Whether the kernel tells of connections that end (net.netfilter.nf_conntrack_events).',
      [sample(isTold ? 1 : 0)],
    ),
  ];
}

const labelsOf = ({ app, way, uplink = '' }: AccountTotal): MetricSample['labels'] => ({ app, way, uplink });

function ofDecisions({ verdicts, dns }: Status): MetricFamily[] {
  const { accepted, rejected, dropped } = verdicts;
  return [
    counter('pointsman_verdicts_total', 'Connections that the daemon decided itself, by verdict.', [
      sample(accepted, { verdict: 'accept' }),
      sample(rejected, { verdict: 'reject' }),
      sample(dropped, { verdict: 'drop' }),
    ]),
    counter('pointsman_queued_packets_total', 'Packets that the kernel has asked the daemon about.', [
      sample(verdicts.queued),
    ]),
    counter('pointsman_undecodable_packets_total', 'Packets asked about that were no IP packets, and dropped.', [
      sample(verdicts.undecodable),
    ]),
    gauge('pointsman_held_connections', 'Connections that wait to be decided.', [sample(verdicts.held)]),
    counter('pointsman_dns_queries_total', 'Queries that followed their application.', [sample(dns.asked)]),
    counter('pointsman_dns_answers_total', 'Answers to those.', [sample(dns.answered)]),
    counter('pointsman_dns_failures_total', 'Queries that were told that it did not work.', [sample(dns.failed)]),
    counter('pointsman_dns_mismatches_total', 'Messages of resolvers that answered no query, and were dropped.', [
      sample(dns.mismatched),
    ]),
    counter('pointsman_dns_learned_names_total', 'Names in rules that an answer brought new addresses for.', [
      sample(dns.learned),
    ]),
  ];
}

function ofGuard({ opening, other, answers, ended }: GuardCounts): MetricFamily[] {
  return [
    counter(
      'pointsman_guard_drops_total',
      'Packets that were about to leave by a device that they may not leave by; at least so many.',
      [sample(opening, { what: 'opening' }), sample(other, { what: 'other' }), sample(answers, { what: 'answer' })],
    ),
    counter(
      'pointsman_guard_ended_connections_total',
      'Connections that were ended because their program chose a device that they may not leave by.',
      [sample(ended)],
    ),
  ];
}

const sample = (value: number, labels: MetricSample['labels'] = {}): MetricSample => ({ labels, value });

const counter = (name: string, help: string, samples: readonly MetricSample[]): MetricFamily => ({
  ...{ name, type: 'counter', help, samples },
});

const gauge = (name: string, help: string, samples: readonly MetricSample[]): MetricFamily => ({
  ...{ name, type: 'gauge', help, samples },
});
