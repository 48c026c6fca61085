/** Who may connect: what the other end gets is the judge, for applications told by executable, by user, and by nothing. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecisionEvent, WatchEvent } from '../../src/api/event.ts';
import type { Explanation } from '../../src/api/explanation.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_LAN, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { TALK_SCRIPT, Talker } from './support/talker.ts';
import { until } from './support/until.ts';

const WEB_USER = 4244;
/** RFC 862 */
const ECHO_PORT = 7;
const DEFAULT = 'etc/pointsman/default.yaml';
/** Beyond the second look at live flows, which comes a second after a change. */
const LOOKS = 8;
const BETWEEN_LOOKS_MS = 300;
const [WIFI] = LAB_UPLINKS;
const WIFI4 = WIFI?.access.v4.near ?? '';
const WIFI6 = WIFI?.access.v6.near ?? '';
const LAN4 = LAB_LAN.v4.near;
const LAN6 = LAB_LAN.v6.near;

let device: Device;
let internet: Talker;
let lan: Talker;
/** Ours, told by executable; the same started before the daemon; one of a user; one without a policy. */
let web: Talker;
let older: Talker;
let ofUser: Talker;
let other: Talker;

const queued = async (): Promise<number> => (await device.status()).verdicts.queued;
const reload = (): Promise<unknown> => device.pointsman('reload');

const WEB = (accept: string): string => `accept: ${accept}\notherwise: allow`;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('inbound');
  const python = device.copyOfPython('web');
  const elsewhere = device.copyOfPython('other');
  device.writePolicy('web', `exec: ${python}`, WEB('["*:8080/tcp", "*:8443", lan]'));
  device.writePolicy('of-user', `user: ${WEB_USER}`, WEB('["lan:9000/tcp"]'));
  older = Talker.start((command) => device.inside(command), [python]);
  await older.listen('tcp', 8080);
  await device.startDaemon();
  web = Talker.start((command) => device.inside(command), [python]);
  ofUser = Talker.start(
    (command) => device.inside(['setpriv', `--reuid=${WEB_USER}`, `--regid=${WEB_USER}`, '--clear-groups', ...command]),
    ['/usr/bin/python3'],
    device.readableCopy(TALK_SCRIPT),
  );
  other = Talker.start((command) => device.inside(command), [elsewhere]);
  internet = Talker.start((command) => inNamespace(device.id, 'net', command), ['/usr/bin/python3']);
  lan = Talker.start((command) => inNamespace(device.id, 'lan', command), ['/usr/bin/python3']);
  for (const port of [8443, 8500]) {
    await web.listen('tcp', port);
    await web.listen('udp', port);
  }
  await ofUser.listen('tcp', 9000);
  await other.listen('tcp', 7000);
});

afterAll(async () => {
  for (const talker of [web, older, ofUser, other, internet, lan]) await talker?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('accept', () => {
  it.each([WIFI4, WIFI6])(
    'lets in whom it names and refuses all others at once, by the kernel alone (%s)',
    async (host) => {
      const before = await queued();
      expect(await internet.connect('tcp', host, 8443)).toMatchObject({ ok: true });
      expect(await internet.connect('udp', host, 8443)).toMatchObject({ ok: true });
      expect(await internet.connect('tcp', host, 8500)).toEqual({ ok: false, error: 'ECONNREFUSED' });
      expect(await internet.connect('udp', host, 8500)).toMatchObject({ ok: false });
      expect(await queued()).toBe(before);
    },
  );

  it('tells peers by their address', async () => {
    expect(await lan.connect('tcp', LAN4, 8500)).toMatchObject({ ok: true });
    expect(await lan.connect('tcp', LAN6, 8500)).toMatchObject({ ok: true });
    expect(await lan.connect('udp', LAN4, 8500)).toMatchObject({ ok: true });
  });

  it('holds for listeners that are older than the daemon', async () => {
    const before = await queued();
    expect(await internet.connect('tcp', WIFI4, 8080)).toMatchObject({ ok: true });
    expect(await queued()).toBeGreaterThan(before);
  });

  it('holds for a user', async () => {
    expect(await lan.connect('tcp', LAN4, 9000)).toMatchObject({ ok: true });
    expect(await internet.connect('tcp', WIFI4, 9000)).toEqual({ ok: false, error: 'ECONNREFUSED' });
  });

  it('leaves programs to the default of which no policy speaks, and closed ports to the kernel', async () => {
    expect(await internet.connect('tcp', WIFI4, 7000)).toMatchObject({ ok: true });
    expect(await internet.connect('tcp', WIFI4, 7001)).toEqual({ ok: false, error: 'ECONNREFUSED' });
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\naccept: [lan]\n');
    await reload();
    expect(await internet.connect('tcp', WIFI4, 7000)).toEqual({ ok: false, error: 'ECONNREFUSED' });
    expect(await lan.connect('tcp', LAN4, 7000)).toMatchObject({ ok: true });
    expect(await internet.connect('tcp', WIFI4, 8443)).toMatchObject({ ok: true });
    device.remove('etc/pointsman/default.yaml');
    await reload();
    expect(await internet.connect('tcp', WIFI4, 7000)).toMatchObject({ ok: true });
  });

  it.each([
    [WIFI4, 8700],
    [WIFI6, 8701],
  ])(
    'is asked anew of whoever listens later at a port that nobody had, and nothing is let out as an answer (%s)',
    async (host, port) => {
      const own = 5700 + (port % 100);
      expect(await internet.datagrams(host, port, own, 5)).toMatchObject({ answers: 0 });
      await web.listen('udp', port);
      expect(await internet.datagrams(host, port, own, 20)).toMatchObject({ answers: 0 });
      // At a port that is open to it, the same peer is answered.
      expect(await internet.datagrams(host, 8443, own, 3)).toMatchObject({ answers: 3 });
    },
  );

  it('is what explain says that it is', async () => {
    const explained = async (
      pid: number,
      from: string,
      port: string,
    ): Promise<Explanation['flows'][number] | undefined> => {
      const { stdout } = await device.pointsman('explain', '--pid', `${pid}`, '--from', from, '--port', port, '--json');
      return (JSON.parse(stdout) as Explanation).flows[0];
    };
    const [far, near] = [await internet.connect('tcp', WIFI4, 8443), await lan.connect('tcp', LAN6, 8500)];
    for (const [peer, address, host, port, kind, to] of [
      [internet, far.own, WIFI4, 8443, 'tcp', web],
      [internet, far.own, WIFI4, 8443, 'udp', web],
      [internet, far.own, WIFI4, 8500, 'tcp', web],
      [internet, far.own, WIFI4, 8500, 'udp', web],
      [lan, near.own, LAN6, 8500, 'tcp', web],
      [internet, far.own, WIFI4, 9000, 'tcp', ofUser],
      [internet, far.own, WIFI4, 7000, 'tcp', other],
    ] as const) {
      const { ok } = await peer.connect(kind, host, port);
      const flow = await explained(to.pid, address ?? '', `${port}/${kind}`);
      expect([port, kind, flow?.verdict]).toEqual([port, kind, ok ? 'accept' : 'reject']);
    }
    // The lines that say so, in the files as the device has them.
    const line = (await explained(web.pid, far.own ?? '', '8500'))?.line ?? 0;
    const { accept = [], file = '' } = (await explained(web.pid, near.own ?? '', '8500')) ?? {};
    expect(readFileSync(file, 'utf8').split('\n')[line - 1]).toMatch(/^accept: .*lan/);
    expect(accept.map(({ outcome }) => outcome)).toEqual(['did not match', 'did not match', 'matched']);
  });

  it('shows in watch who connected to what', async () => {
    const [file = '', ...args] = device.inside([...POINTSMAN, 'watch', '--json', '--root', device.rootDir]);
    const watching = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const events: DecisionEvent[] = [];
      createInterface({ input: watching.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as WatchEvent;
        if (event.kind === 'decision' && event.inbound) events.push(event);
      });
      await until('both to be seen', async () => {
        await internet.connect('tcp', WIFI4, 8443);
        await internet.connect('tcp', WIFI4, 8500);
        return ['accept', 'reject'].every((verdict) =>
          events.some((event) => event.verdict === verdict && event.app === 'web' && event.by === 'kernel'),
        );
      });
      expect(events.find(({ verdict }) => verdict === 'reject')).toMatchObject({
        destination: `${WIFI4}:8500`,
        protocol: 'tcp',
        cause: 'denied',
      });
    } finally {
      watching.kill('SIGKILL');
    }
  });

  describe('that becomes narrower', () => {
    const NARROW = WEB('[lan]');
    const WIDE = WEB('["*:8080/tcp", "*:8443", lan]');
    /** The other end's own port of a conversation by UDP. */
    const OWN_PORT = 47_110;
    const policyOf = (body: string): string =>
      `pointsman: 1\napp: web\nmatch:\n  - exec: ${device.copyOfPython('web')}\n${body}\n`;
    const answers = async (own = OWN_PORT): Promise<number | undefined> =>
      (await internet.datagrams(WIFI4, 8443, own, 3)).answers;
    const isNarrow = (): Promise<unknown> =>
      until('nobody new to be let in', async () => !(await internet.connect('tcp', WIFI4, 8443)).ok);
    const isWide = (): Promise<unknown> =>
      until('all to be let in again', async () => (await internet.connect('tcp', WIFI4, 8443)).ok);
    /** Live flows are looked at once more a second after a change; a connection made before the daemon is one of them. */
    const heldConnections = async (): Promise<readonly [string, number][]> => [
      ['IPv4', (await internet.hold(WIFI4, 8443)).id ?? -1],
      ['IPv6', (await internet.hold(WIFI6, 8443)).id ?? -1],
      ['older program', (await internet.hold(WIFI4, 8080)).id ?? -1],
    ];

    async function answerFor(held: readonly (readonly [string, number])[], looks: number): Promise<void> {
      for (let look = 0; look < looks; look += 1) {
        for (const [name, id] of held) expect([name, await internet.ask(id)]).toEqual([name, { ok: true }]);
        await delay(BETWEEN_LOOKS_MS);
      }
    }

    it('leaves connections alone that came in, over a reload, and lets in nobody new', async () => {
      const held = await heldConnections();
      await answerFor(held, 1);
      device.writePolicy('web', `exec: ${device.copyOfPython('web')}`, NARROW);
      await reload();
      await isNarrow();
      await answerFor(held, LOOKS);
      expect((await internet.connect('tcp', WIFI4, 8443)).ok).toBe(false);
      device.writePolicy('web', `exec: ${device.copyOfPython('web')}`, WIDE);
      await reload();
      await isWide();
    });

    it('leaves them alone where the default says who may connect', async () => {
      await other.listen('tcp', 7001);
      device.write(DEFAULT, 'pointsman: 1\naccept: ["*"]\n');
      await reload();
      const { id = -1 } = await internet.hold(WIFI4, 7001);
      await answerFor([['default', id]], 1);
      device.write(DEFAULT, 'pointsman: 1\naccept: [lan]\n');
      await reload();
      await until('nobody new to be let in', async () => !(await internet.connect('tcp', WIFI4, 7001)).ok);
      await answerFor([['default', id]], LOOKS);
      device.remove(DEFAULT);
      await reload();
    });

    it('leaves them alone on trial, and after it was taken back; a conversation by UDP goes on after it', async () => {
      const held = await heldConnections();
      expect([await answers(), await answers(OWN_PORT + 1)]).toEqual([3, 3]);
      const tried = device.path('tried');
      mkdirSync(tried, { recursive: true });
      writeFileSync(join(tried, 'web.yaml'), policyOf(NARROW));
      expect(await device.pointsman('try', tried, '--confirm', '5s')).toMatchObject({ exitCode: 0 });
      await isNarrow();
      await answerFor(held, LOOKS);
      // A datagram opens nothing: each is asked about anew once it is no longer accepted.
      expect(await answers()).toBe(0);
      await device.untilStatus('it to be taken back', ({ confirmBeforeMs }) => confirmBeforeMs === undefined);
      await isWide();
      await answerFor(held, LOOKS);
      await until('it to be answered again', async () => (await answers()) === 3);
      expect(await answers(OWN_PORT + 1)).toBe(3);
    });

    it('so do datagrams that the program itself sends, once its rules let them out again', async () => {
      const [{ v4 = '' } = {}] = INTERNET_HOSTS;
      const sent = () => web.datagrams(v4, ECHO_PORT, OWN_PORT, 3);
      expect(await sent()).toMatchObject({ answers: 3 });
      device.writePolicy(
        'web',
        `exec: ${device.copyOfPython('web')}`,
        WIDE.replace('otherwise: allow', 'otherwise: deny'),
      );
      await reload();
      await until('it to be refused', async () => (await sent()).error === 'EPERM');
      device.writePolicy('web', `exec: ${device.copyOfPython('web')}`, WIDE);
      await reload();
      await until('it to be answered again', async () => (await sent()).answers === 3);
    });
  });
});
