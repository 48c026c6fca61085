/** What `doctor` says of a machine, and that what it says would mend it does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DoctorReport, Finding } from '../../src/api/doctor.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, POLICIES, UPLINKS } from './support/device.ts';

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

let device: Device;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('doctor');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

interface Examined {
  readonly exitCode: number | undefined;
  readonly findings: readonly Finding[];
  readonly of: (part: string) => Finding | undefined;
}

async function examine(program?: readonly string[]): Promise<Examined> {
  const args = ['doctor', '--json'];
  const { exitCode, stdout, stderr } =
    program === undefined
      ? await device.pointsman(...args)
      : await device.run([...program, ...args, '--root', device.rootDir]);
  if (stdout === '') throw new Error(stderr);
  const { findings } = JSON.parse(stdout) as DoctorReport;
  return { exitCode: exitCode ?? undefined, findings, of: (part) => findings.find((finding) => finding.part === part) };
}

const must = (...command: readonly string[]): Promise<string> => device.must('device', command);
const mend = (finding: Finding | undefined): Promise<string> => must(...(finding?.mend ?? '').split(' ').slice(1));

describe('doctor', () => {
  it('doctor finds what a daemon needs, without a daemon and without a trace', async () => {
    const before = await must('nft', 'list', 'ruleset');
    const { exitCode, of } = await examine();
    expect(exitCode).toBe(0);
    expect(of('nftables')).toMatchObject({ state: 'ok', message: expect.stringContaining('all that a ruleset needs') });
    for (const part of ['programs (BPF)', 'scripts (fanotify)', 'cgroups', 'uplink wifi', 'uplink cellular', 'files'])
      expect(of(part), part).toMatchObject({ state: 'ok' });
    expect(of('daemon')).toMatchObject({
      message: 'the daemon is not running',
      mend: `sudo pointsman up --root ${device.rootDir}`,
    });
    expect(await must('nft', 'list', 'ruleset')).toBe(before);
  });

  it('doctor says what would mend what is in the way, and that does', async () => {
    await must(
      'sysctl',
      '-qw',
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv4.conf.wifi0.rp_filter=1',
      'net.ipv4.ip_forward=1',
      'net.netfilter.nf_conntrack_acct=0',
    );
    await must('sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0');
    const parts = ['reverse path filter', 'forwarding', 'conntrack'];
    const { of, findings } = await examine();
    for (const part of parts) {
      expect(of(part), part).toMatchObject({ state: 'limited' });
      await mend(of(part));
    }
    await mend(findings.find(({ message }) => message.includes('anybody may listen on port 977')));
    const after = await examine();
    for (const part of parts) expect(after.of(part), part).toMatchObject({ state: 'ok' });
    expect(after.findings.filter(({ message }) => message.includes('977'))).toEqual([]);
  });

  it('doctor says why an uplink is down, that files are broken, and ends with 1', async () => {
    device.write(`${UPLINKS}/absent.yaml`, 'pointsman: 1\nuplink: absent\ndevice: absent9\n');
    device.write(`${POLICIES}/broken.yaml`, 'pointsman: 1\napp: broken\nothewise: deny\n');
    await must('ip', 'link', 'set', 'wifi0', 'down');
    const { exitCode, of } = await examine();
    expect(exitCode).toBe(1);
    expect(of('uplink absent')).toMatchObject({ state: 'limited', message: 'there is no device absent9' });
    expect(of('uplink wifi')).toMatchObject({
      state: 'limited',
      message: 'down: its device is down: sudo ip link set wifi0 up',
    });
    expect(of('files')).toMatchObject({ state: 'broken', mend: `pointsman check --root ${device.rootDir}` });
    device.remove(`${UPLINKS}/absent.yaml`);
    device.remove(`${POLICIES}/broken.yaml`);
  });

  it('doctor tells an ordinary user what he may not see', async () => {
    const { exitCode, of, findings } = await examine([...NOBODY, ...device.readableProgram()]);
    expect(exitCode).toBe(0);
    for (const part of [
      'privileges',
      'nftables',
      'first packets (NFQUEUE)',
      'conntrack',
      'programs (BPF)',
      'scripts (fanotify)',
      'daemon',
    ])
      expect(of(part), part).toMatchObject({ state: 'not seen' });
    expect(of('privileges')?.mend).toBe(`sudo pointsman doctor --root ${device.rootDir}`);
    expect(of('uplink cellular')).toMatchObject({ state: 'ok' });
    expect(findings.some(({ state }) => state === 'broken')).toBe(false);
  });

  it('doctor takes what a daemon knows from it, and finds what a killed one has left', async () => {
    await must('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
    const daemon = await device.startDaemon();
    const { of } = await examine();
    expect(of('forwarded-not-governed')).toMatchObject({
      state: 'limited',
      message: expect.stringContaining('forwards IPv4 for others'),
    });
    expect(of('daemon')).toMatchObject({ state: 'ok', message: expect.stringMatching(/^enforcing \(process \d+\)$/) });
    expect(of('daemon: executables')).toMatchObject({ state: 'ok', message: 'told by the kernel' });
    await daemon.kill();
    const left = await examine();
    expect(left.exitCode).toBe(1);
    expect(left.of('daemon')).toMatchObject({
      state: 'broken',
      message: expect.stringContaining('the rules of one are in force'),
    });
    expect(await device.pointsman('down')).toMatchObject({ exitCode: 0 });
    expect((await examine()).exitCode).toBe(0);
  });
});
