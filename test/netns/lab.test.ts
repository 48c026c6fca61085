import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Explain, runSteps } from '../../src/lab/demo.ts';
import { DEMO_STEPS } from '../../src/lab/demo-steps.ts';
import { existingNamespaces, labDown } from '../../src/lab/lab-down.ts';
import { LabError } from '../../src/lab/lab-error.ts';
import { labCollect, labExec } from '../../src/lab/lab-exec.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { labStatus } from '../../src/lab/lab-status.ts';
import { labUp } from '../../src/lab/lab-up.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import type { Outcome } from '../../src/lab/run-tool.ts';
import { readSeenLog } from '../../src/lab/server-log.ts';
import { type NamespacePart, VPN_SERVER } from '../../src/lab/world.ts';

const run = promisify(execFile);
let counts = 0;
const isRoot = process.geteuid?.() === 0;
const TIMEOUT_MS = 120_000;

describe.skipIf(!isRoot)('lab', () => {
  const id = `test${process.pid}`;
  const parentDir = mkdtempSync(join(tmpdir(), 'pointsman-lab-'));
  const stateDir = join(parentDir, 'state');
  const lab = { id, stateDir };
  const inLab = (...command: string[]): Promise<Outcome> => labCollect({ ...lab, command, timeoutMs: TIMEOUT_MS });

  beforeAll(async () => {
    // The servers run as a program of their own, from dist.
    await run(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'src/lab'], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    });
    await labUp({ ...lab, withDaemon: false });
  });

  afterAll(async () => {
    await labDown(lab);
    rmSync(parentDir, { recursive: true });
  });

  it('labUp() builds a device whose default routes leave by wifi in both families', async () => {
    const v4 = await inLab('ip', 'route', 'get', '203.0.113.10');
    const v6 = await inLab('ip', 'route', 'get', '2001:db8:113::10');
    expect(v4.stdout).toContain('dev wifi0 src 192.168.10.2');
    expect(v6.stdout).toContain('dev wifi0');
    expect(v6.stdout).toContain('src 2001:db8:10::2');
    const routes = await inLab('ip', 'route', 'show', 'default');
    expect(routes.stdout).toMatch(/dev wifi0 .*metric 100[\s\S]*dev cell0 .*metric 700/);
  });

  it.each([
    ['-4', 'wifi0', '192.168.10.2'],
    ['-6', 'wifi0', '2001:db8:10::2'],
    ['-4', 'cell0', '10.20.30.2'],
    ['-6', 'cell0', '2001:db8:20::2'],
  ])('labUp() makes a world where curl %s by %s is seen as %s', async (family, device, address) => {
    const outcome = await inLab('curl', '-sS', family, '--interface', device, 'http://www.example.org/');
    expect(outcome).toMatchObject({ exitCode: 0, stdout: `${address}\n`, stderr: '' });
  });

  it('labUp() makes a tunnel by which goes what is sent there, sealed and by wifi, and nothing else', async () => {
    expect((await inLab('ip', 'route', 'show', 'table', 'all', 'default', 'dev', 'vpn0')).stdout).toBe('');
    await using underlay = await PacketCount.start(
      id,
      'wifi',
      `ip daddr ${VPN_SERVER.v4} udp dport ${VPN_SERVER.port}`,
    );
    await using clear = await PacketCount.start(id, 'wifi', 'ip daddr 203.0.113.10');
    const outcome = async (family: string): Promise<Outcome> =>
      inLab('curl', '-sS', family, '--interface', 'vpn0', 'http://www.example.org/bytes/200000', '-o', '/dev/null');
    const address = async (family: string): Promise<string> =>
      (await inLab('curl', '-sS', family, '--interface', 'vpn0', 'http://www.example.org/')).stdout;
    await inLab('sh', '-c', BY_TUNNEL.replaceAll('VERB', 'add'));
    try {
      expect([await address('-4'), await address('-6')]).toEqual(['10.66.0.2\n', '2001:db8:66::2\n']);
      const before = await underlay.packets();
      expect([(await outcome('-4')).exitCode, (await outcome('-6')).exitCode]).toEqual([0, 0]);
      expect((await underlay.packets()) - before).toBeGreaterThan(10);
      expect(await clear.packets()).toBe(0);
    } finally {
      await inLab('sh', '-c', BY_TUNNEL.replaceAll('VERB', 'del'));
    }
  });

  it.each(['192.168.77.10', '[fd77::10]'])('labUp() puts a host on the LAN, %s', async (host) => {
    const outcome = await inLab('curl', '-sS', `http://${host}/json`);
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      address: host.includes(':') ? 'fd77::2' : '192.168.77.2',
      port: 80,
    });
  });

  it.each(['+notcp', '+tcp'])('labUp() makes a name server that knows its zone (%s)', async (transport) => {
    const dig = (...query: string[]): Promise<Outcome> => inLab('dig', transport, '+tries=1', '+time=3', ...query);
    expect((await dig('+short', 'imap.example.org', 'A')).stdout).toBe('203.0.113.20\n');
    expect((await dig('+short', 'imap.example.org', 'AAAA')).stdout).toBe('2001:db8:113::20\n');
    expect((await dig('nowhere.example.org')).stdout).toContain('status: NXDOMAIN');
    expect((await dig('imap.example.org', 'TXT')).stdout).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
  });

  it.each([
    ['TCP', '203.0.113.10', ['-N', '-w', '3']],
    ['UDP', '203.0.113.10', ['-u', '-w', '1']],
    ['TCP', '2001:db8:113::10', ['-N', '-w', '3']],
    ['UDP', '2001:db8:113::10', ['-u', '-w', '1']],
  ])('labUp() makes a %s echo on %s', async (_, address, options) => {
    const command = ['nc', ...options, address, '7'];
    const outcome = await labCollect({ ...lab, command, input: 'hello\n', timeoutMs: TIMEOUT_MS });
    expect(outcome.stdout).toBe('hello\n');
  });

  it('servers write down whom they saw before they answer', async () => {
    await inLab('curl', '-sS', '--interface', 'cell0', '-4', 'http://tracker.example.org:8080/');
    await inLab('dig', '+short', '@203.0.113.53', 'demo.example.org');
    const seen = readSeenLog(labFiles(stateDir).seenLog, 0);
    expect(seen).toContainEqual(
      expect.objectContaining({ protocol: 'tcp', server: '203.0.113.40', port: 8080, client: '10.20.30.2' }),
    );
    expect(seen).toContainEqual(
      expect.objectContaining({ protocol: 'udp', port: 53, client: '192.168.10.2', question: 'demo.example.org' }),
    );
  });

  it('labUp() makes cellular slow and leaves wifi fast', async () => {
    const speed = async (device: string): Promise<number> => {
      const command = ['curl', '-sS', '-4', '-o', '/dev/null', '-w', '%{speed_download}', '--interface', device];
      return Number((await inLab(...command, 'http://www.example.org/bytes/500000')).stdout) * 8;
    };
    const { notes } = await labStatus(lab);
    expect(notes.filter((note) => note.text.includes('tbf'))).toEqual([]);
    const cellular = await speed('cell0');
    expect(cellular).toBeGreaterThan(100_000);
    expect(cellular).toBeLessThan(2_600_000);
    expect(await speed('wifi0')).toBeGreaterThan(2 * cellular);
  });

  it('labExec() passes exit codes and signals on, and names a program that is missing', async () => {
    expect(await labExec({ ...lab, command: ['sh', '-c', 'exit 7'] })).toBe(7);
    expect(await labExec({ ...lab, command: ['sh', '-c', 'kill -TERM $$'] })).toBe(143);
    expect((await inLab('sh', '-c', 'exit 42')).exitCode).toBe(42);
    expect((await inLab('sh', '-c', 'kill -TERM $$')).exitCode).toBe(143);
    await expect(inLab('no-such-program')).rejects.toThrow('no such program: no-such-program');
  });

  it('labCollect() shows the lab its own resolver and the host nothing of it', async () => {
    expect((await inLab('cat', '/etc/resolv.conf')).stdout).toContain('nameserver 203.0.113.53');
    expect((await inLab('cat', '/etc/nsswitch.conf')).stdout).toMatch(/^hosts: files dns$/m);
    const mountinfo = await run('cat', ['/proc/self/mountinfo']);
    expect(mountinfo.stdout).not.toContain(stateDir);
  });

  it('labCollect() puts a program into its own cgroup and removes that afterwards', async () => {
    const command = ['cat', '/proc/self/cgroup'];
    const outcome = await labCollect({ ...lab, command, cgroup: 'backup', timeoutMs: TIMEOUT_MS });
    expect(outcome.stdout).toContain(`0::/pointsman-lab-${id}/backup\n`);
    const again = await inLab('cat', '/proc/self/cgroup');
    expect(again.stdout).not.toContain('backup');
  });

  it('runSteps() marks each row where nothing governs what should be governed', async () => {
    const explain: Explain = async () => ({ verdict: 'accept', fileLine: 'default.yaml:3', rule: 'otherwise' });
    const rows = await runSteps({ ...lab, explain });
    const agreeing = DEMO_STEPS.map(
      ({ expected: { verdict, uplink } }) => verdict === 'allowed' && uplink !== 'cellular' && uplink !== 'vpn',
    );
    expect(rows.map((row) => row.problems.length === 0)).toEqual(agreeing);
    expect(rows.find((row) => row.program === 'ssh')).toMatchObject({ verdict: 'allowed', sourceSeen: '192.168.10.2' });
  });

  it('runSteps() tells refused, no uplink, dropped and each uplink apart', async () => {
    await govern(inLab);
    const explain: Explain = async (_, destination) => ({
      ...EXPLAINED[DEMO_STEPS.find((step) => step.explainTo === destination)?.expected.verdict ?? 'dropped'],
      fileLine: 'policies/a.yaml:1',
      rule: 'a rule',
    });
    const rows = await runSteps({ ...lab, explain });
    expect(rows.flatMap(({ program, problems }) => problems.map((problem) => `${program}: ${problem}`))).toEqual([]);
  });

  it('labUp() refuses a lab that is up, and a directory that is not a lab', async () => {
    await expect(labUp({ ...lab, withDaemon: false })).rejects.toMatchObject({ code: 'already-up' });
    writeFileSync(join(parentDir, 'precious'), 'mine');
    await expect(labUp({ id, stateDir: parentDir, withDaemon: false })).rejects.toMatchObject({
      code: 'bad-state-dir',
    });
    await expect(labDown({ id, stateDir: parentDir })).rejects.toMatchObject({ code: 'bad-state-dir' });
    expect(existsSync(join(parentDir, 'precious'))).toBe(true);
  });
});

describe.skipIf(!isRoot)('labDown', () => {
  const id = `down${process.pid}`;
  const parentDir = mkdtempSync(join(tmpdir(), 'pointsman-lab-'));
  const stateDir = join(parentDir, 'state');
  const lab = { id, stateDir };

  afterAll(async () => {
    await labDown(lab);
    rmSync(parentDir, { recursive: true });
  });

  it('labDown() leaves no namespace, process, cgroup or file, and does nothing the second time', async () => {
    await labUp({ ...lab, withDaemon: false });
    const lingering = labCollect({ ...lab, command: ['sleep', '300'], cgroup: 'lingering', timeoutMs: 60_000 });
    await until(async () => (await processesOf(lab)).some((line) => line.includes('sleep')));
    await labDown(lab);
    expect((await lingering).exitCode).toBe(143);
    expect(existingNamespaces(id)).toEqual([]);
    expect(await processesOf(lab)).toEqual([]);
    expect(await cgroupsOf(id)).toEqual([]);
    expect(existsSync(stateDir)).toBe(false);
    await labDown(lab);
    expect(await labStatus(lab)).toMatchObject({ state: 'down', namespaces: [], daemon: 'none' });
  });

  it('labUp() replaces what a crash in the middle of building left', async () => {
    await labUp({ ...lab, withDaemon: false });
    await run('ip', ['netns', 'del', `pml-${id}-cell`]);
    expect((await labStatus(lab)).state).toBe('broken');
    await labUp({ ...lab, withDaemon: false });
    expect((await labStatus(lab)).state).toBe('up');
    await labDown(lab);
  });

  it('labUp() shows the end of the log of a daemon that does not come up, and leaves nothing', async () => {
    const pointsmanCommand = ['/bin/sh', '-c', 'echo "no such kernel"; exit 3'];
    const failure = await labUp({ ...lab, pointsmanCommand }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(LabError);
    expect(failure).toMatchObject({
      code: 'daemon-failed',
      message: expect.stringMatching(/exit code 3[\s\S]*no such kernel/),
    });
    expect(existingNamespaces(id)).toEqual([]);
    expect(existsSync(stateDir)).toBe(false);
  });

  it('labUp() starts the daemon inside the device and labDown() ends it', async () => {
    const listen =
      "const fs = require('node:fs'), root = process.argv[3]; fs.mkdirSync(root + '/run/pointsman', { recursive: true });" +
      "require('node:net').createServer(() => {}).listen(root + '/run/pointsman/pointsman.sock')";
    await labUp({ ...lab, pointsmanCommand: [process.execPath, '-e', listen, '--'] });
    expect((await labStatus(lab)).daemon).toBe('running');
    await labDown(lab);
    expect(await processesOf(lab)).toEqual([]);
  });
});

const EXPLAINED = {
  allowed: { verdict: 'accept' },
  refused: { verdict: 'reject', cause: 'denied' },
  dropped: { verdict: 'drop' },
  'no uplink': { verdict: 'reject', cause: 'no-uplink' },
} as const;

/** What the lab's policies come to, by destination instead of by program. */
async function govern(inLab: (...command: string[]) => Promise<Outcome>): Promise<void> {
  const ruleset = `table inet governed { chain output { type filter hook output priority 0;
    ip daddr 203.0.113.40 meta l4proto tcp reject with tcp reset
    ip daddr 203.0.113.10 tcp dport 22 reject with tcp reset
    ip daddr 203.0.113.30 tcp dport 22 reject with icmpx no-route
    tcp dport 993 drop
  }
  }`;
  const outcomes = [
    await inLab('nft', ruleset),
    await inLab('ip', 'route', 'add', 'default', 'via', '10.20.30.1', 'table', '77'),
    await inLab('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:20::1', 'table', '77'),
    await inLab('ip', 'rule', 'add', 'ipproto', 'tcp', 'dport', '7', 'table', '77'),
    await inLab('ip', 'rule', 'add', 'ipproto', 'udp', 'dport', '7', 'table', '77'),
    await inLab('ip', '-6', 'rule', 'add', 'ipproto', 'tcp', 'dport', '7', 'table', '77'),
    await inLab('ip', 'route', 'add', 'default', 'dev', 'vpn0', 'table', '78'),
    await inLab('ip', '-6', 'route', 'add', 'default', 'dev', 'vpn0', 'table', '78'),
    await inLab('ip', 'rule', 'add', 'ipproto', 'tcp', 'dport', '5222', 'table', '78'),
    await inLab('ip', '-6', 'rule', 'add', 'ipproto', 'tcp', 'dport', '5222', 'table', '78'),
  ];
  expect(outcomes.map((outcome) => outcome.stderr).join('')).toBe('');
}

const BY_TUNNEL = ['', '-6']
  .flatMap((family) => [
    `ip ${family} route VERB default dev vpn0 table 79`,
    `ip ${family} rule VERB oif vpn0 lookup 79`,
  ])
  .join(' && ');

/** Counts in a part of the lab what matches an nft expression, before everything else there. */
class PacketCount implements AsyncDisposable {
  readonly #nft: (ruleset: string) => Promise<string>;
  readonly #table: string;

  private constructor(nft: (ruleset: string) => Promise<string>, table: string) {
    this.#nft = nft;
    this.#table = table;
  }

  static async start(id: string, part: NamespacePart, match: string): Promise<PacketCount> {
    const nft = async (ruleset: string): Promise<string> => {
      const [file = '', ...args] = inNamespace(id, part, ['/usr/sbin/nft', ruleset]);
      return (await run(file, args)).stdout;
    };
    counts += 1;
    const table = `count${counts}`;
    await nft(`table inet ${table} { chain c { type filter hook prerouting priority -400; ${match} counter; }; }`);
    return new PacketCount(nft, table);
  }

  async packets(): Promise<number> {
    const text = await this.#nft(`list table inet ${this.#table}`);
    return Number(/counter packets (\d+)/.exec(text)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nft(`delete table inet ${this.#table}`);
  }
}

interface Lab {
  readonly id: string;
  readonly stateDir: string;
}

/** Processes that a lab's state directory (on the command line) or cgroups give away. */
async function processesOf({ id, stateDir }: Lab): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [commandLine, cgroup] = await Promise.all([readProc(pid, 'cmdline'), readProc(pid, 'cgroup')]);
    const text = commandLine.replaceAll('\0', ' ');
    if (cgroup.includes(`pointsman-lab-${id}`) || text.includes(stateDir)) found.push(`${pid} ${text}`);
  }
  return found;
}

async function readProc(pid: string, name: string): Promise<string> {
  return run('cat', [`/proc/${pid}/${name}`]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

async function cgroupsOf(id: string): Promise<readonly string[]> {
  const { stdout } = await run('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-name', `pointsman-lab-${id}`]);
  return stdout.split('\n').filter(Boolean);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
