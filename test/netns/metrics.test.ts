/** Connections that have ended, by application and uplink: what the daemon counts against what nftables has seen pass. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetricsReport } from '../../src/api/metrics.ts';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const ECHO_PORT = 7;
/** One connection after the other, each with so many bytes there and back. */
const EXCHANGE = `
import socket, sys
host, port, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for _ in range(count):
    with socket.create_connection((host, port), timeout=20) as s:
        s.sendall(b"x" * size)
        left = size
        while left > 0:
            left -= len(s.recv(left))
        s.shutdown(socket.SHUT_WR)
        while s.recv(1):
            pass
`;
const DIRECTIONS = ['sent', 'received'] as const;

let device: Device;
let daemon: Daemon;
/** Executables, each an application of its own. */
let [news, backup, late]: [string, string, string] = ['', '', ''];

const server = (): string => INTERNET_HOSTS[0]?.v4 ?? '';

async function settings(...values: readonly string[]): Promise<void> {
  const lines = values.map((value) => `echo ${value.replace('=', ' > ')}`);
  await device.must('device', ['sh', '-c', `cd /proc/sys/net/netfilter && ${lines.join(' && ')}`]);
}

async function exchange(python: string, count: number, bytes: number): Promise<void> {
  const words = [server(), `${ECHO_PORT}`, `${count}`, `${bytes}`];
  const { exitCode, stderr } = await device.run([python, '-c', EXCHANGE, ...words]);
  if (exitCode !== 0) throw new Error(stderr);
}

async function metrics(): Promise<MetricsReport> {
  const { stdout, stderr, exitCode } = await device.pointsman('metrics', '--json');
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as MetricsReport;
}

/** The one sample with these labels; `undefined` where there is none. */
function sampleOf(
  { families }: MetricsReport,
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  const samples = families.find((family) => family.name === name)?.samples ?? [];
  const found = samples.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  if (found.length > 1) throw new Error(`${name} is ambiguous: ${JSON.stringify(found)}`);
  return found[0]?.value;
}

const untilEnded = (app: string, ended: number): Promise<MetricsReport> =>
  until(`${ended} connections of ${app} to have ended`, async () => {
    const report = await metrics();
    return (sampleOf(report, 'pointsman_connections_ended_total', { app }) ?? 0) >= ended && report;
  });

/** Packets and bytes with the echo server's port, as they left and came in by a device. */
async function seenBy(
  deviceName: string,
): Promise<Record<(typeof DIRECTIONS)[number], { packets: number; bytes: number }>> {
  const text = await device.must('device', ['nft', 'list', 'table', 'inet', 'witness']);
  const counter = (what: string): { packets: number; bytes: number } => {
    const found = new RegExp(`${what} counter packets (\\d+) bytes (\\d+)`).exec(text);
    if (found === null) throw new Error(`no counter in ${text}`);
    return { packets: Number(found[1]), bytes: Number(found[2]) };
  };
  return {
    sent: counter(`oifname "${deviceName}" tcp dport ${ECHO_PORT}`),
    received: counter(`iifname "${deviceName}" tcp sport ${ECHO_PORT}`),
  };
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('metr');
  await settings('1=nf_conntrack_acct', '1=nf_conntrack_tcp_timeout_time_wait');
  [news, backup, late] = [device.copyOfPython('news'), device.copyOfPython('backup'), device.copyOfPython('late')];
  const by = (uplink: string): string => `otherwise: allow\nvia: { require: { name: ${uplink} }, else: block }`;
  device.writePolicy('news', `exec: ${news}`, by('wifi'));
  device.writePolicy('backup', `exec: ${backup}`, by('cellular'));
  device.writePolicy('late', `exec: ${late}`, by('wifi'));
  const rules = (way: string, port: string): string =>
    ['wifi0', 'cell0'].map((name) => `${way}ifname ${name} tcp ${port} ${ECHO_PORT} counter;`).join(' ');
  const table = `table inet witness {
    chain out { type filter hook postrouting priority 400; ${rules('o', 'dport')} }
    chain in { type filter hook prerouting priority -450; ${rules('i', 'sport')} }
  }`;
  await device.must('device', ['nft', '-f', '-'], table);
  daemon = await device.startDaemon();
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

describe('metrics', () => {
  it('metrics counts the connections and bytes of each application by its uplink, as nftables sees them', async () => {
    await exchange(news, 20, 3000);
    await exchange(backup, 4, 700);
    await untilEnded('backup', 4);
    const report = await untilEnded('news', 20);
    for (const [app, uplink, deviceName, count, payload] of [
      ['news', 'wifi', 'wifi0', 20, 60_000],
      ['backup', 'cellular', 'cell0', 4, 2800],
    ] as const) {
      const labels = { app, way: 'uplink', uplink };
      expect(sampleOf(report, 'pointsman_connections_begun_total', { app })).toBe(count);
      expect(sampleOf(report, 'pointsman_connections_ended_total', labels)).toBe(count);
      expect(sampleOf(report, 'pointsman_connections_open', labels)).toBe(0);
      const seen = await seenBy(deviceName);
      for (const direction of DIRECTIONS) {
        const of = { ...labels, direction };
        expect(sampleOf(report, 'pointsman_connection_packets_total', of)).toBe(seen[direction].packets);
        expect(sampleOf(report, 'pointsman_connection_bytes_total', of)).toBe(seen[direction].bytes);
        expect(seen[direction].bytes).toBeGreaterThan(payload);
      }
    }
    expect(sampleOf(report, 'pointsman_connection_event_overruns_total', {})).toBe(0);
    expect(sampleOf(report, 'pointsman_conntrack_accounting_enabled', {})).toBe(1);
    expect(sampleOf(report, 'pointsman_uplink_up', { uplink: 'wifi', family: 'ipv4' })).toBe(1);
  });

  it('metrics counts an open connection once, before and after its end', async () => {
    const before = (await seenBy('wifi0')).sent.bytes;
    await using program = Probe.start(device, [news]);
    expect(await program.openAndEcho({ id: 'open', kind: 'tcp', host: server(), port: ECHO_PORT })).toMatchObject({
      ok: true,
    });
    const open = await metrics();
    expect(sampleOf(open, 'pointsman_connections_open', { app: 'news' })).toBe(1);
    expect(sampleOf(open, 'pointsman_connections_begun_total', { app: 'news' })).toBe(21);
    const sent = { app: 'news', direction: 'sent' };
    expect(sampleOf(open, 'pointsman_connection_bytes_total', sent)).toBeGreaterThan(before);
    expect(await program.close('open')).toMatchObject({ ok: true });
    const ended = await untilEnded('news', 21);
    expect(sampleOf(ended, 'pointsman_connections_begun_total', { app: 'news' })).toBe(21);
    expect(sampleOf(ended, 'pointsman_connection_bytes_total', sent)).toBe((await seenBy('wifi0')).sent.bytes);
  });

  it('metrics is text for others, by the command and by the socket', async () => {
    const { stdout } = await device.pointsman('metrics');
    expect(stdout).toContain('# TYPE pointsman_connections_begun_total counter\n');
    expect(stdout).toContain('pointsman_connections_ended_total{app="backup",way="uplink",uplink="cellular"} 4\n');
    const socket = join(device.rootDir, 'run/pointsman/pointsman.sock');
    const curl = ['curl', '-sSi', '--unix-socket', socket, 'http://pointsman/v1/metrics'];
    const answer = (await device.run(curl)).stdout;
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.toLowerCase()).toContain('\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n');
    expect(answer).toContain('\npointsman_connections_ended_total{app="backup",way="uplink",uplink="cellular"} 4\n');
  });

  it('`pointsman uplinks` shows the same totals for each uplink and application', async () => {
    const { stdout } = await device.pointsman('uplinks', '--json');
    const { uplinks, totals } = JSON.parse(stdout) as UplinksReport;
    const of = (name: string) => uplinks.find((uplink) => uplink.name === name)?.totals;
    expect(of('wifi')).toMatchObject([{ app: 'news', begun: 21, ended: 21, sent: (await seenBy('wifi0')).sent }]);
    expect(of('cellular')).toMatchObject([{ app: 'backup', begun: 4, ended: 4 }]);
    expect(totals).toMatchObject({ overruns: 0, isTold: true });
    const text = (await device.pointsman('uplinks')).stdout;
    expect(text).toMatch(/\n {2}since start +backup: 4 begun, 4 ended, [\d.]+ kB sent, [\d.]+ kB received\n/);
  });

  it('metrics counts connections alone where the kernel counts no bytes', async () => {
    await settings('0=nf_conntrack_acct');
    await exchange(late, 3, 100);
    const report = await untilEnded('late', 3);
    expect(sampleOf(report, 'pointsman_connections_begun_total', { app: 'late' })).toBe(3);
    expect(sampleOf(report, 'pointsman_connection_bytes_total', { app: 'late', direction: 'sent' })).toBeUndefined();
    expect(sampleOf(report, 'pointsman_connection_packets_total', { app: 'news', direction: 'sent' })).toBeGreaterThan(
      0,
    );
    expect(sampleOf(report, 'pointsman_conntrack_accounting_enabled', {})).toBe(0);
  });

  it('metrics knows the last connections of an application that has been removed', async () => {
    await using program = Probe.start(device, [late]);
    expect(await program.openAndEcho({ id: 'last', kind: 'tcp', host: server(), port: ECHO_PORT })).toMatchObject({
      ok: true,
    });
    expect(sampleOf(await metrics(), 'pointsman_connections_open', { app: 'late' })).toBe(1);
    device.remove('etc/pointsman/policies/late.yaml');
    await device.untilStatus('late to be gone', ({ apps }) => !apps.some(({ app }) => app === 'late'));
    await program.close('last');
    const report = await untilEnded('late', 4);
    expect(sampleOf(report, 'pointsman_connections_begun_total', { app: 'late', uplink: 'wifi' })).toBe(4);
  });

  it('metrics says nothing of connections where the daemon does without, and all else', async () => {
    await daemon.stop();
    daemon = await device.startDaemon({ wrap: (command) => ['env', 'POINTSMAN_WITHOUT=totals', ...command] });
    await exchange(news, 1, 10);
    const report = await metrics();
    expect(report.families.filter(({ name }) => name.startsWith('pointsman_conn'))).toEqual([]);
    expect(sampleOf(report, 'pointsman_uplink_up', { uplink: 'wifi', family: 'ipv4' })).toBe(1);
    const { stdout } = await device.pointsman('uplinks', '--json');
    expect(JSON.parse(stdout)).not.toHaveProperty('totals');
  });

  it('metrics ends as other commands do where no daemon runs', async () => {
    await daemon.stop();
    for (const words of [['metrics'], ['metrics', '--json']]) {
      const { stdout, stderr, exitCode } = await device.pointsman(...words);
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 3 });
      expect(stderr).toContain('the daemon is not running');
    }
  });
});
