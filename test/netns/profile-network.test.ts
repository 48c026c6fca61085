/** Profiles that hold by the network one is in: another router with the same address is another network. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';

const ECHO_PORT = 7;
const PROFILES = 'etc/pointsman/profiles';
const HOME_MAC = '00:00:5e:00:53:01';
const OTHER_MAC = '00:00:5e:00:53:02';
/** Less than half of the time after which the daemon looks by itself: it was told. */
const SOON_MS = 7000;
/** Longer than the kernel takes to give a silent neighbour up (three questions, a second each). */
const SILENT_MS = 5000;
const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');

let device: Device;
let daemon: Daemon;
let python: string;

const holds = async (name: string): Promise<boolean | undefined> =>
  (await device.status()).profiles?.find((profile) => profile.name === name)?.holds;
const untilHolds = (name: string, wanted: boolean): Promise<unknown> =>
  until(`profile ${name} ${wanted ? 'to hold' : 'to end'}`, async () => (await holds(name)) === wanted);

/** Another router from now on, with the addresses of the one before. `announced`: as one that takes over does. */
async function exchangeRouter(mac: string, { announced }: { readonly announced: boolean }): Promise<void> {
  for (const setting of ['ipv4.conf.inside.arp_notify', 'ipv6.conf.inside.ndisc_notify']) {
    await device.must('wifi', ['sysctl', '-qw', `net.${setting}=${announced ? 1 : 0}`]);
  }
  await device.must('wifi', ['ip', 'link', 'set', 'inside', 'address', mac]);
}

/** What a program of the policy reaches now, and what the other end has seen of it. */
async function attempt(program: Probe, id: string): Promise<{ readonly reached: boolean; readonly seen: number }> {
  const offset = device.seenEnd();
  const socket = { id, kind: 'tcp', host: SERVER.v4, port: ECHO_PORT, timeoutMs: 8000 } as const;
  const answer = await program.openAndEcho(socket);
  const seen = device.seenSince(offset).filter(({ port, server }) => port === ECHO_PORT && server === SERVER.v4);
  return { reached: answer.ok, seen: seen.length };
}

const REACHED = { reached: true, seen: 1 };
const REFUSED = { reached: false, seen: 0 };

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('netprofile');
  python = device.copyOfPython('probe');
  const when = `[{ uplink: wifi, gateway: [${HOME_MAC.toUpperCase().replaceAll(':', '-')}] }]`;
  device.write(`${PROFILES}/home.yaml`, `pointsman: 1\nprofile: home\nwhen: ${when}\n`);
  device.write(`${PROFILES}/zone.yaml`, 'pointsman: 1\nprofile: zone\nwhen: [{ domain: Example.Org. }]\n');
  device.write(`${PROFILES}/part.yaml`, 'pointsman: 1\nprofile: part\nwhen: [{ domain: [org, www.example.org] }]\n');
  device.write(`${PROFILES}/air.yaml`, 'pointsman: 1\nprofile: air\nwhen: [{ ssid: Home }]\n');
  device.writePolicy(
    'org.example.Homely',
    `exec: ${python}`,
    'rules:\n  - { to: "*", do: allow, during: home }\notherwise: deny\nvia: { prefer: { type: wifi } }',
  );
  // The kernel doubts what it knows of neighbours in seconds, not after half a minute.
  for (const setting of ['base_reachable_time_ms=500', 'delay_first_probe_time=1']) {
    const settings = ['ipv4', 'ipv6'].map((family) => `net.${family}.neigh.wifi0.${setting}`);
    await device.must('device', ['sysctl', '-qw', ...settings]);
  }
  await exchangeRouter(HOME_MAC, { announced: false });
  await device.must('device', ['ip', 'neigh', 'flush', 'dev', 'wifi0']);
  daemon = await device.startDaemon();
});

afterEach(async () => {
  await exchangeRouter(HOME_MAC, { announced: true });
  await untilHolds('home', true);
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

describe('a rule during a profile of a network', () => {
  it('holds before anybody has sent anything: the gateway is asked who it is', async () => {
    await untilHolds('home', true);
    await using program = Probe.start(device, [python]);
    expect(await attempt(program, 'at home')).toEqual(REACHED);
  });

  it('ends and begins again, with the router, long before anybody looks', async () => {
    await using program = Probe.start(device, [python]);
    const times: number[] = [];
    for (const [mac, wanted] of [
      [OTHER_MAC, false],
      [HOME_MAC, true],
      [OTHER_MAC, false],
    ] as const) {
      const startMs = performance.now();
      await exchangeRouter(mac, { announced: true });
      await untilHolds('home', wanted);
      times.push(performance.now() - startMs);
      expect(await attempt(program, `${times.length}`)).toEqual(wanted ? REACHED : REFUSED);
    }
    expect(Math.max(...times), times.map(Math.round).join(' ms, ')).toBeLessThan(SOON_MS);
    const explained = await device.explain({ exe: python, host: SERVER.v4, port: ECHO_PORT, protocol: 'tcp' });
    expect(explained.flows[0]?.rules).toMatchObject([{ outcome: 'not in force', text: 'allow * during home' }]);
  });

  it('ends what lives when one comes into another network', async () => {
    await using program = Probe.start(device, [python]);
    const socket = { id: 'live', kind: 'tcp', host: SERVER.v4, port: ECHO_PORT, timeoutMs: 8000 } as const;
    expect(await program.openAndEcho(socket)).toEqual({ ok: true, echoed: true });
    await loseWifi(device, 'carrier lost');
    await untilHolds('home', false);
    await exchangeRouter(OTHER_MAC, { announced: false });
    await restoreWifi(device, 'carrier lost');
    await device.untilUplink('wifi', true);
    expect((await program.echo('live')).ok).toBe(false);
    expect(await attempt(program, 'elsewhere')).toEqual(REFUSED);
    expect(await holds('home')).toBe(false);
  });

  it('stays while the router is silent, and while somebody clears the neighbour table', async () => {
    await using program = Probe.start(device, [python]);
    await device.must('device', ['nft', '-f', '-'], SILENCE);
    try {
      await device.must('device', ['ip', 'neigh', 'flush', 'dev', 'wifi0']);
      const endMs = performance.now() + SILENT_MS;
      while (performance.now() < endMs) {
        expect(await holds('home')).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(await device.must('device', ['ip', 'neigh', 'show', 'dev', 'wifi0'])).not.toContain(HOME_MAC);
    } finally {
      await device.must('device', ['nft', 'delete', 'table', 'netdev', 'silence']);
    }
    await until('the router to be reached again', async () => (await attempt(program, 'again')).reached);
  });

  it('ends when traffic finds another router that nobody announced', async () => {
    await exchangeRouter(OTHER_MAC, { announced: false });
    await until('the profile to end', async () => {
      await Promise.all([SERVER.v4, SERVER.v6].map((host) => device.run(['ping', '-n', '-c1', '-W1', host])));
      return (await holds('home')) === false;
    });
    await using program = Probe.start(device, [python]);
    expect(await attempt(program, 'found')).toEqual(REFUSED);
  });

  it('makes no rounds of what neighbours do that nobody asks about', async () => {
    const before = daemon.output.length;
    for (let host = 100; host < 140; host += 1) {
      await device.must('device', [
        'ip',
        'neigh',
        'replace',
        `192.168.10.${host}`,
        'lladdr',
        OTHER_MAC,
        'dev',
        'wifi0',
      ]);
    }
    await device.must('device', ['ip', 'neigh', 'flush', 'nud', 'permanent', 'dev', 'wifi0']);
    expect(daemon.output.slice(before)).toBe('');
    expect(await holds('home')).toBe(true);
  });

  it('is told by the domain of the machine, exactly, and by no wireless network where there is none', async () => {
    expect([await holds('zone'), await holds('part'), await holds('air')]).toEqual([true, false, false]);
  });

  it('is shown with the network of each uplink, by a daemon and without one', async () => {
    const shown = async (): Promise<string> => {
      const { stdout } = await device.pointsman('uplinks', '--json');
      const { uplinks } = JSON.parse(stdout) as UplinksReport;
      const [wifi, cellular] = ['wifi', 'cellular'].map((name) => uplinks.find((uplink) => uplink.name === name));
      expect(wifi?.network).toEqual({ gatewayMacs: [HOME_MAC], domains: ['example.org'] });
      expect(cellular?.network?.domains).toBeUndefined();
      return (await device.pointsman('uplinks')).stdout;
    };
    expect(await shown()).toMatch(/^ {2}gateway MAC +00:00:5e:00:53:01$/m);
    await daemon.stop();
    expect(await shown()).toMatch(/^ {2}domains +example\.org$/m);
    const question = ['explain', '--exe', python, '--to', `${SERVER.v4}:${ECHO_PORT}`];
    expect((await device.pointsman(...question)).stdout).not.toContain('not in force');
    await exchangeRouter(OTHER_MAC, { announced: true });
    await until('the kernel to hear of it', async () =>
      (await device.pointsman(...question)).stdout.includes('not in force'),
    );
    daemon = await device.startDaemon();
  });
});

/** Nobody hears who the router is, neither when it is asked nor when it asks itself. */
const SILENCE = `table netdev silence {
  chain ingress {
    type filter hook ingress device "wifi0" priority 0;
    ether type arp drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } drop
  }
}
`;
