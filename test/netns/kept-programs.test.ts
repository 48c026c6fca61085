/**
 * What the kernel decided with the daemon it decides without it: known programs are allowed, refused and routed as before, what it does
 * not know is refused at once. The next daemon takes over what there is. The other end counts.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const PINS = '/sys/fs/bpf/pointsman';
const HOSTS = INTERNET_HOSTS.filter(({ name }) => name === 'updates.example.org');
const SERVERS = HOSTS.flatMap(({ v4, v6 }) => [v4, v6]);
const ECHO = 7;

let device: Device;
let untouched: KernelState;
let daemon: Daemon | undefined;
const programs: Record<'allowed' | 'denied' | 'routed' | 'stranger', string> = {
  allowed: '',
  denied: '',
  routed: '',
  stranger: '',
};

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('kept');
  untouched = await kernelState(device);
  for (const name of ['allowed', 'denied', 'routed', 'stranger'] as const) programs[name] = device.copyOfPython(name);
  device.writePolicy('org.example.Allowed', `exec: ${programs.allowed}`, 'otherwise: allow');
  device.writePolicy('org.example.Denied', `exec: ${programs.denied}`, 'otherwise: deny');
  device.writePolicy(
    'org.example.Routed',
    `exec: ${programs.routed}`,
    'otherwise: allow\nvia: { require: { type: cellular }, else: block }',
  );
});

afterEach(async () => {
  if (daemon?.ending === undefined) await daemon?.stop();
  await device.pointsman('down');
  expect(await changesSince(device, untouched)).toEqual([]);
  expect(pinsOfDevice()).toEqual([]);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

/** Directories of pins of a device's network namespace. */
function pinsOfDevice(of = device): string[] {
  const [, cookie] = execFileSync('nsenter', [
    `--net=/run/netns/pml-${of.id}-device`,
    '/usr/bin/python3',
    '-c',
    'import socket; print("cookie", int.from_bytes(socket.socket().getsockopt(1, 71, 8), "little"))',
  ])
    .toString()
    .trim()
    .split(' ');
  return existsSync(PINS) ? readdirSync(PINS).filter((name) => name.startsWith(`${cookie}-`)) : [];
}

async function outcomesOf(program: string): Promise<readonly string[]> {
  await using probe = Probe.start(device, [program]);
  const found: string[] = [];
  for (const kind of ['tcp', 'udp', 'udp-connected'] as const) {
    for (const host of SERVERS) {
      const answer = await probe.openAndEcho({ id: `${kind} ${host}`, kind, host, port: ECHO, timeoutMs: 5000 });
      found.push(answer.ok ? 'answered' : answer.error);
    }
  }
  return found;
}

const ANSWERED = Array.from({ length: 6 }, () => 'answered');
const REFUSED = ['ECONNREFUSED', 'ECONNREFUSED', 'EPERM', 'EPERM', 'EPERM', 'EPERM'];

/** What each program gets, and by which link what it sent arrived: counted there. */
async function look(names: readonly (keyof typeof programs)[] = ['allowed', 'denied', 'routed', 'stranger']) {
  const results: Record<string, { outcomes: readonly string[]; wifi: boolean; cellular: boolean }> = {};
  for (const name of names) {
    await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
    await using cellular = await Witness.start(device, { part: 'cell', hosts: HOSTS });
    const outcomes = await outcomesOf(programs[name]);
    results[name] = { outcomes, wifi: (await wifi.counted()) > 0, cellular: (await cellular.counted()) > 0 };
  }
  return results;
}

const AS_POLICY_SAYS = {
  allowed: { outcomes: ANSWERED, wifi: true, cellular: false },
  denied: { outcomes: REFUSED, wifi: false, cellular: false },
  routed: { outcomes: ANSWERED, wifi: false, cellular: true },
  stranger: { outcomes: ANSWERED, wifi: true, cellular: false },
};

/** Called as a named program, and never seen before. */
function namesake(of: keyof typeof programs, directory: string): string {
  const path = join(dirname(programs[of]), directory, of);
  mkdirSync(dirname(path), { recursive: true });
  cpSync('/usr/bin/python3', path, { dereference: true });
  return path;
}

const hostsOf = (name: string): typeof INTERNET_HOSTS =>
  INTERNET_HOSTS.filter((host) => host.name === `${name}.example.org`);
const churned = (hosts: typeof INTERNET_HOSTS) =>
  (['tcp', 'udp-connected'] as const).flatMap((kind) =>
    hosts.flatMap(({ v4, v6 }) => [v4, v6]).map((host) => ({ id: `${kind} ${host}`, kind, host })),
  );

/** Numbers of the link on the cgroup (BPF_CGROUP_INET_SOCK_CREATE), and of the program in it, as the kernel shows them to whoever holds it. */
function cgroupLink(pid: number): { readonly link: string | undefined; readonly program: string | undefined } {
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const text = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
    if (!/^link_type:\s*cgroup$/m.test(text) || !/^attach_type:\s*2$/m.test(text)) continue;
    return { link: /^link_id:\s*(\d+)$/m.exec(text)?.[1], program: /^prog_id:\s*(\d+)$/m.exec(text)?.[1] };
  }
  throw new Error('the daemon has no link on a cgroup');
}

const queued = async (): Promise<number> => (await device.status()).verdicts.queued;

describe('without the daemon', () => {
  it('programs that the kernel knows are allowed, refused and routed as before, and strangers pass', async () => {
    daemon = await device.startDaemon();
    expect(await look()).toEqual(AS_POLICY_SAYS);
    expect((await device.status()).identity.kept).toEqual({ inKernel: true });
    await daemon.kill();
    expect(await look()).toEqual(AS_POLICY_SAYS);
  });

  it('what the kernel does not know is refused at once, and nothing of it arrives', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    await using wifi = await Witness.start(device, { part: 'wifi', hosts: HOSTS });
    await using cellular = await Witness.start(device, { part: 'cell', hosts: HOSTS });
    expect(await outcomesOf(namesake('allowed', 'first'))).toEqual(REFUSED);
    expect([await wifi.counted(), await cellular.counted()]).toEqual([0, 0]);
  });

  it('the next daemon takes over what is known, and asks about nobody it need not ask about', async () => {
    daemon = await device.startDaemon();
    const known = namesake('denied', 'known');
    await until('the stranger to be known', async () => {
      const before = await queued();
      expect(await outcomesOf(known)).toEqual(ANSWERED);
      return (await queued()) === before;
    });
    await daemon.kill();
    expect(await outcomesOf(known)).toEqual(ANSWERED);
    daemon = await device.startDaemon();
    expect(pinsOfDevice()).toHaveLength(1);
    const before = await queued();
    expect(await outcomesOf(known)).toEqual(ANSWERED);
    expect(await look()).toEqual(AS_POLICY_SAYS);
    expect((await queued()) - before).toBe(0);
    expect(await outcomesOf(namesake('denied', 'new'))).toEqual(ANSWERED);
    expect((await queued()) - before).toBeGreaterThan(0);
  });

  it('known programs go on while daemons are killed and started: none refused, none astray', async () => {
    daemon = await device.startDaemon();
    await using allowed = Probe.start(device, [programs.allowed]);
    await using denied = Probe.start(device, [programs.denied]);
    await using routed = Probe.start(device, [programs.routed]);
    // Each to a host of its own: a port of datagrams that is used again goes by what was decided for the one who had it before.
    const flows = (
      [
        [allowed, 'updates'],
        [denied, 'tracker'],
        [routed, 'demo'],
      ] as const
    ).map(([program, name]) => ({ program, hosts: hostsOf(name), kinds: churned(hostsOf(name)) }));
    await using wifi = await Witness.start(device, {
      part: 'wifi',
      hosts: [...hostsOf('tracker'), ...hostsOf('demo')],
    });
    await using cellular = await Witness.start(device, {
      part: 'cell',
      hosts: [...hostsOf('tracker'), ...hostsOf('updates')],
    });
    for (const { program, kinds } of flows) {
      for (const { id, kind, host } of kinds)
        await program.churn({ id, kind, host, port: ECHO, timeoutMs: 10_000, everyMs: 20 });
    }
    for (let round = 0; round < 3; round += 1) {
      await daemon.kill();
      daemon = await device.startDaemon();
    }
    const [ofAllowed, ofDenied, ofRouted] = await Promise.all(
      flows.map(async ({ program, kinds }) => {
        const sum = { sent: 0, received: 0, failed: 0, refused: 0 };
        for (const { id } of kinds) {
          const counts = (await program.counts(id)) as unknown as typeof sum;
          await program.endStream(id);
          for (const what of ['sent', 'received', 'failed', 'refused'] as const) sum[what] += counts[what];
        }
        return sum;
      }),
    );
    expect([ofAllowed, ofRouted]).toMatchObject([{ failed: 0 }, { failed: 0 }]);
    expect(Math.min(ofAllowed?.received ?? 0, ofRouted?.received ?? 0)).toBeGreaterThan(100);
    expect(ofDenied).toMatchObject({ sent: 0, received: 0, refused: ofDenied?.failed });
    expect([await wifi.counted(), await cellular.counted()]).toEqual([0, 0]);
  });

  it('a policy that has changed meanwhile holds from the next start on', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    device.writePolicy('org.example.Allowed', `exec: ${programs.allowed}`, 'otherwise: deny');
    device.remove('etc/pointsman/policies/org.example.Denied.yaml');
    try {
      daemon = await device.startDaemon();
      expect(await look(['allowed', 'denied', 'routed'])).toEqual({
        allowed: AS_POLICY_SAYS.denied,
        denied: AS_POLICY_SAYS.stranger,
        routed: AS_POLICY_SAYS.routed,
      });
    } finally {
      device.writePolicy('org.example.Allowed', `exec: ${programs.allowed}`, 'otherwise: allow');
      device.writePolicy('org.example.Denied', `exec: ${programs.denied}`, 'otherwise: deny');
    }
  });

  it('numbers that are lost make everything anew', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    device.remove('var/lib/pointsman/ids.json');
    daemon = await device.startDaemon();
    expect(await look()).toEqual(AS_POLICY_SAYS);
    expect(pinsOfDevice()).toHaveLength(1);
  });

  it('a daemon that is refused because another one runs leaves what that one has kept', async () => {
    daemon = await device.startDaemon();
    const second = device.spawnDaemon();
    expect(await second.ended()).toBe('exit code 4');
    expect(pinsOfDevice()).toHaveLength(1);
    await daemon.kill();
    expect(await look()).toEqual(AS_POLICY_SAYS);
  });

  it('what a killed daemon kept goes with its network namespace, by the hand of whoever comes next, and that of others stays', async () => {
    daemon = await device.startDaemon();
    const other = await Device.build('keptother');
    let pins: readonly string[] = [];
    try {
      const second = await other.startDaemon();
      pins = pinsOfDevice(other);
      expect(pins).toHaveLength(1);
      await second.kill();
      // Somebody else's down, while that namespace is there.
      expect(await device.pointsman('down')).toMatchObject({ exitCode: 0 });
      expect(pinsOfDevice(other)).toEqual(pins);
      daemon = await device.startDaemon();
    } finally {
      await other[Symbol.asyncDispose]();
    }
    expect(readdirSync(PINS).filter((name) => pins.includes(name))).toEqual([]);
    expect(pinsOfDevice()).toHaveLength(1);
  });

  it('the next daemon puts its program into the link that is there, so that no socket is made without', async () => {
    daemon = await device.startDaemon();
    const before = cgroupLink(daemon.pid);
    await daemon.kill();
    daemon = await device.startDaemon();
    const after = cgroupLink(daemon.pid);
    expect(after.link).toBe(before.link);
    expect(after.program).not.toBe(before.program);
  });

  it('what somebody removes by hand is kept again with the next change of policies', async () => {
    daemon = await device.startDaemon();
    const [name = ''] = pinsOfDevice();
    rmSync(join(PINS, name), { recursive: true });
    await device.pointsman('reload');
    expect(pinsOfDevice()).toEqual([name]);
    await daemon.kill();
    expect(await outcomesOf(programs.allowed)).toEqual(ANSWERED);
  });

  it('a daemon with another root takes nothing over, and leaves nothing of the one before', async () => {
    daemon = await device.startDaemon();
    const pins = pinsOfDevice();
    await daemon.kill();
    const root = device.path('elsewhere');
    mkdirSync(join(root, 'etc/pointsman'), { recursive: true });
    const other = Daemon.spawn(device.inside([...POINTSMAN, 'up', '--root', root]));
    await until('the other daemon to be up', () => other.output.includes('control socket'));
    const its = pinsOfDevice();
    // Nobody names anything there.
    expect(await outcomesOf(programs.denied)).toEqual(ANSWERED);
    expect(await other.stop()).toBe('exit code 0');
    expect(its).toHaveLength(1);
    expect(its).not.toEqual(pins);
    expect(pinsOfDevice()).toEqual([]);
  });

  it('down without a daemon removes what a killed one kept', async () => {
    daemon = await device.startDaemon();
    await daemon.kill();
    expect(pinsOfDevice()).toHaveLength(1);
    expect(statfsSync('/sys/fs/bpf').type).toBe(0xcafe4a11);
    expect(await device.pointsman('down')).toMatchObject({ exitCode: 0 });
    expect(pinsOfDevice()).toEqual([]);
  });
});
