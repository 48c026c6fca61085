/** The daemon looks whether the kernel does what policies say: it finds what is in the way, and nothing that it sends leaves the machine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckedTier, SelfCheckReport } from '../../src/api/self-check.ts';
import { openClient } from '../../src/cli/client.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';

const AROUND = ['wifi', 'cell', 'vpn', 'lan', 'net'] as const;
const CHECKED = ['192.0.2.249', '2001:db8:ffff::249'] as const;
/** Another one's firewall that takes all marks away before anything of ours. */
const MARKS_TAKEN = 'table inet other { chain out { type filter hook output priority -200; meta mark set 0; }; }\n';

let device: Device;
let daemon: Daemon;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('self');
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
  device.writePolicy(
    'org.example.News',
    'exec: /usr/bin/wget',
    'via: { require: { name: wifi }, else: block }\notherwise: allow',
  );
  device.writePolicy(
    'org.example.Job',
    'script: /usr/bin/ldd',
    'via: { require: { name: cellular }, else: block }\notherwise: allow',
  );
  device.writePolicy(
    'org.example.Lost',
    'exec: /usr/bin/dig',
    'via: { require: { name: nowhere }, else: block }\notherwise: allow',
  );
  for (const part of AROUND) {
    const rules = `ip daddr ${CHECKED[0]} counter name left\nip6 daddr ${CHECKED[1]} counter name left`;
    const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules}\n}`;
    await device.must(part, ['nft', '-f', '-'], `table inet arrivals {\ncounter left {}\n${chain}\n}\n`);
  }
  daemon = await device.startDaemon();
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** Packets to where checks send, in all networks around. */
async function left(): Promise<number> {
  let sum = 0;
  for (const part of AROUND) {
    const listing = await device.must(part, ['nft', 'list', 'counter', 'inet', 'arrivals', 'left']);
    sum += Number(/packets (\d+)/.exec(listing)?.[1] ?? 0);
  }
  return sum;
}

/** Where somebody changed something just then it is asked again: that is told apart from what is wrong. */
async function check(tries = 20): Promise<SelfCheckReport> {
  const report = await openClient(labFiles(device.stateDir).socket).post<SelfCheckReport>('/v1/self-check');
  if (report.notDone === undefined) return report;
  if (tries === 0) throw new Error(report.notDone);
  return check(tries - 1);
}

const of = ({ tiers }: SelfCheckReport, as: string): readonly CheckedTier[] => tiers.filter((tier) => tier.as === as);
const outcomes = (report: SelfCheckReport, as: string): readonly string[] =>
  of(report, as).map(({ outcome }) => outcome);
const BOTH = (outcome: string): readonly string[] => [outcome, outcome];
const warnings = async (): Promise<readonly string[]> => (await device.status()).warnings.map(({ code }) => code);

describe('self-check', () => {
  it('self-check sends as every kind of program, finds that all is as policies say, and nothing leaves', async () => {
    const report = await check();
    expect(report.tiers.map(({ outcome, found, as }) => `${as}: ${outcome}, ${found}`).join('\n')).not.toContain(
      'difference',
    );
    for (const as of ['exec:/usr/bin/curl', 'exec:/usr/bin/wget', 'script:/usr/bin/ldd', 'exec:/usr/bin/dig'])
      expect(outcomes(report, as), as).toEqual(BOTH('as the policy says'));
    expect(of(report, 'exec:/usr/bin/curl')[0]?.found).toMatch(
      /^the policy refuses it, and it did not come to the end/,
    );
    expect(of(report, 'exec:/usr/bin/wget')[0]?.found).toBe('the policy lets it out, and it came to the end');
    for (const as of ['a program that no policy names', 'the daemon, asked about'])
      expect(of(report, as)[0]?.found, as).toBe('the policy lets it out, and it came to the end');
    expect(await warnings()).not.toContain('self-check-failed');
    expect(await left()).toBe(0);
    // Not because nobody counts.
    await device.must('device', ['bash', '-c', `echo > /dev/udp/${CHECKED[0]}/9`]);
    expect(await left()).toBeGreaterThan(0);
    expect(await device.must('device', ['nft', 'list', 'table', 'inet', 'pointsman_check'])).not.toContain('drop');
  });

  it('self-check finds a firewall that takes marks away, names who passes, and is over with it', async () => {
    const before = await left();
    await device.must('device', ['nft', '-f', '-'], MARKS_TAKEN);
    const report = await check();
    expect(outcomes(report, 'exec:/usr/bin/curl')).toEqual(BOTH('difference'));
    expect(of(report, 'exec:/usr/bin/curl')[0]?.found).toBe('the policy refuses it, and it came to the end');
    const { warnings: told } = await device.status();
    expect(told.find(({ code }) => code === 'self-check-failed')?.message).toContain(
      'exec:/usr/bin/curl (org.example.Browser) to 192.0.2.249 port 9/udp: the policy refuses it, and it came to the end',
    );
    await device.must('device', ['nft', 'delete', 'table', 'inet', 'other']);
    expect(outcomes(await check(), 'exec:/usr/bin/curl')).toEqual(BOTH('as the policy says'));
    expect(await warnings()).not.toContain('self-check-failed');
    expect(await left()).toBe(before);
  });

  it('self-check finds a routing rule before ours that takes packets elsewhere', async () => {
    const before = await left();
    const rule = ['pref', '90', 'to', '192.0.2.0/24', 'lookup', '77'];
    const gateway =
      (await device.must('device', ['ip', '-4', 'route', 'show', 'default', 'dev', 'cell0'])).split(' ')[2] ?? '';
    await device.must('device', ['ip', 'route', 'add', 'default', 'via', gateway, 'dev', 'cell0', 'table', '77']);
    await device.must('device', ['ip', 'rule', 'add', ...rule]);
    const report = await check();
    expect(outcomes(report, 'exec:/usr/bin/wget')).toEqual(['difference', 'as the policy says']);
    const doctor = await device.pointsman('doctor', '--probe');
    expect(doctor.exitCode).toBe(1);
    expect(doctor.stdout).toMatch(
      /^broken +probe: exec:\/usr\/bin\/wget +to 192\.0\.2\.249 port 9\/udp: the policy lets it out, and it did not/m,
    );
    expect(doctor.stdout).toMatch(
      /^ok +probe: exec:\/usr\/bin\/curl +to 192\.0\.2\.249 port 9\/udp: the policy refuses it/m,
    );
    expect(of(report, 'exec:/usr/bin/wget')[0]?.found).toMatch(
      /^the policy lets it out, and it did not come to the end/,
    );
    expect(await warnings()).toContain('self-check-failed');
    await device.must('device', ['ip', 'rule', 'del', ...rule]);
    expect(outcomes(await check(), 'exec:/usr/bin/wget')).toEqual(BOTH('as the policy says'));
    expect(await left()).toBe(before);
  });

  it('self-check agrees with the kernel also where the default refuses, names are meant, or a policy is for the user that the daemon runs as', async () => {
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
    device.writePolicy(
      'org.example.Names',
      'exec: /usr/bin/host',
      'rules: [{ to: "www.example.org:80", do: allow }]\notherwise: deny',
    );
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    const refused = await check();
    expect(refused.tiers.filter(({ outcome }) => outcome === 'difference')).toEqual([]);
    expect(of(refused, 'a program that no policy names')[0]?.found).toMatch(/^the policy refuses it, and it did not/);
    // Others wait for its queries.
    expect(of(refused, 'the daemon, asked about')[0]?.found).toBe('the policy lets it out, and it came to the end');
    expect(of(refused, 'exec:/usr/bin/wget')[0]?.found).toBe('the policy lets it out, and it came to the end');
    device.writePolicy('org.example.Root', 'user: root', 'otherwise: allow');
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    const permitted = await check();
    expect(permitted.tiers.filter(({ outcome }) => outcome === 'difference')).toEqual([]);
    for (const as of ['a program that no policy names', 'the daemon, asked about'])
      expect(of(permitted, as)[0]?.found, as).toBe('the policy lets it out, and it came to the end');
    for (const name of ['policies/org.example.Names.yaml', 'policies/org.example.Root.yaml', 'default.yaml'])
      device.remove(`etc/pointsman/${name}`);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
  });

  it('self-check runs by itself after a start', async () => {
    await daemon.stop();
    await device.must('device', ['nft', '-f', '-'], MARKS_TAKEN);
    daemon = await device.startDaemon();
    await device.untilStatus('a check of its own', ({ warnings: told }) =>
      told.some(({ code }) => code === 'self-check-failed'),
    );
    await device.must('device', ['nft', 'delete', 'table', 'inet', 'other']);
    expect(await device.must('device', ['nft', 'list', 'tables'])).toContain('pointsman_check');
    await daemon.stop();
    expect(await device.must('device', ['nft', 'list', 'tables'])).not.toContain('pointsman');
  });
});
