/** Who may connect: what the other end gets is the judge, for applications told by executable, by user, and by nothing. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecisionEvent, WatchEvent } from '../../src/api/event.ts';
import type { Explanation } from '../../src/api/explanation.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { LAB_LAN, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import { Device } from './support/device.ts';
import { TALK_SCRIPT, Talker } from './support/talker.ts';
import { until } from './support/until.ts';

const WEB_USER = 4244;
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

  it('ends a connection that came in when it is no longer accepted, and no other', async () => {
    const held = await internet.hold(WIFI4, 8443);
    const kept = await lan.hold(LAN4, 8443);
    expect(await internet.ask(held.id ?? -1)).toEqual({ ok: true });
    device.writePolicy('web', `exec: ${device.copyOfPython('web')}`, WEB('[lan]'));
    await reload();
    await until('it to end', async () => !(await internet.ask(held.id ?? -1)).ok);
    expect(await lan.ask(kept.id ?? -1)).toEqual({ ok: true });
  });
});
