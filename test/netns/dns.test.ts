/**
 * Queries follow their application: unmodified programs ask, name servers at the far ends of both uplinks say what reached them,
 * and the first packet after each answer shows whether it was learned in time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecisionEvent, WatchEvent } from '../../src/api/event.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { INTERNET_HOSTS, LAB_UPLINKS, type LabUplink } from '../../src/lab/world.ts';
import { Asker } from './support/asker.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, POLICIES, UPLINKS } from './support/device.ts';
import { NameServer } from './support/name-server.ts';
import { until } from './support/until.ts';
import { Witness } from './support/witness.ts';

const uplink = (name: string): LabUplink => {
  const found = LAB_UPLINKS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the lab has no ${name}`);
  return found;
};
const WIFI = uplink('wifi').access;
const CELLULAR = uplink('cellular').access;
const STUB = '127.0.0.53';
const PORT = 7777;
const TRIALS = Number(process.env.POINTSMAN_DNS_TRIALS ?? 100);
const VIA_CELLULAR = 'via: { require: { type: cellular } }';
const ROTATING = { v4: '198.18.0.0/15', v6: '2001:db8:2::/48' };

let device: Device;
let python: string;
let onWifi: NameServer;
let onCellular: NameServer;
let echo: ChildProcess;
let daemon: Daemon;
let asker: Asker;

function resolvConf(...servers: readonly string[]): void {
  const lines = servers.map((server) => `nameserver ${server}\n`).join('');
  writeFileSync(labFiles(device.stateDir).resolvConf, `${lines}options timeout:5 attempts:1\n`);
}

/** `cellular`: further lines of the uplink's file. */
async function start(body: string, cellular = `resolvers: [${CELLULAR.v4.far}]\n`): Promise<void> {
  const { device: name } = uplink('cellular');
  device.write(
    `${UPLINKS}/cellular.yaml`,
    `pointsman: 1\nuplink: cellular\ndevice: ${name}\ntype: cellular\nmetered: true\nprobe: off\n${cellular}`,
  );
  device.writePolicy('org.example.Asker', `exec: ${python}`, body);
  daemon = await device.startDaemon();
  asker = Asker.start(device, [python]);
}

/** Started like the lab's servers, since each address of a whole network has to listen. */
async function listenEverywhere(): Promise<ChildProcess> {
  const script = `import socket, threading
for family, any in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((any, ${PORT}))
    s.listen(1000)
    def run(s=s):
        while True:
            s.accept()[0].close()
    threading.Thread(target=run, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
`;
  const [file = '', ...args] = inNamespace(device.id, 'net', ['/usr/bin/python3', '-c', script]);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('dns');
  python = device.copyOfPython('asker');
  await device.must('net', ['ip', 'route', 'add', 'local', ROTATING.v4, 'dev', 'lo']);
  await device.must('net', ['ip', '-6', 'route', 'add', 'local', ROTATING.v6, 'dev', 'lo']);
  echo = await listenEverywhere();
  const at = (part: 'wifi' | 'cell') => (command: readonly string[]) => inNamespace(device.id, part, command);
  onWifi = await NameServer.start(at('wifi'), [WIFI.v4.far, WIFI.v6.far]);
  onCellular = await NameServer.start(at('cell'), [CELLULAR.v4.far, CELLULAR.v6.far]);
});

afterAll(async () => {
  await onWifi?.[Symbol.asyncDispose]();
  await onCellular?.[Symbol.asyncDispose]();
  echo?.kill('SIGKILL');
  await device?.[Symbol.asyncDispose]();
});

beforeEach(() => resolvConf(WIFI.v4.far));

afterEach(async () => {
  await asker?.[Symbol.asyncDispose]();
  await daemon?.stop();
});

describe('queries of a routed application', () => {
  it('leave by its uplink to that uplink’s resolver, whatever resolv.conf names', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`);
    await using wifi = await Witness.start(device, {
      part: 'wifi',
      hosts: [{ name: '', v4: WIFI.v4.far, v6: WIFI.v6.far }],
    });
    const answer = await asker.lookUp('plain.example.org');
    expect(answer).toMatchObject({ ok: true, addresses: expect.arrayContaining(['203.0.113.30']) });
    expect([...onCellular.asked('plain.')].sort()).toEqual([
      `udp ${CELLULAR.v4.near} plain.example.org A`,
      `udp ${CELLULAR.v4.near} plain.example.org AAAA`,
    ]);
    expect(onWifi.asked('plain.')).toEqual([]);
    expect([wifi.captured, await wifi.counted()]).toEqual([[], 0]);
    expect(await asker.askByTcp('plain.example.org')).toEqual({ ok: true, identity: 4711, answers: 1 });
    expect(onCellular.asked('plain.')).toEqual([`tcp ${CELLULAR.v4.near} plain.example.org A`]);
    expect([wifi.captured, await wifi.counted()]).toEqual([[], 0]);
  });

  it('leave by its uplink when a stub on loopback is configured', async () => {
    resolvConf(STUB);
    const stub = await NameServer.start((command) => device.inside(command), [STUB]);
    try {
      await start(`otherwise: allow\n${VIA_CELLULAR}`);
      expect(await asker.lookUp('stubbed.example.org', 4)).toMatchObject({ ok: true, addresses: ['203.0.113.30'] });
      expect(onCellular.asked('stubbed.')).toEqual([`udp ${CELLULAR.v4.near} stubbed.example.org A`]);
      expect([stub.asked('stubbed.'), onWifi.asked('stubbed.')]).toEqual([[], []]);
      expect(await asker.askByTcp('stubbed.example.org')).toMatchObject({ ok: true, answers: 1 });
      expect(onCellular.asked('stubbed.')).toEqual([`tcp ${CELLULAR.v4.near} stubbed.example.org A`]);
    } finally {
      await stub[Symbol.asyncDispose]();
    }
  });

  it('are refused while its uplink is down, and go nowhere else', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`);
    await device.must('device', ['ip', 'link', 'set', 'cell0', 'down']);
    await device.untilUplink('cellular', false);
    expect(await asker.lookUp('refused.example.org', 4)).toMatchObject({ ok: false });
    expect([onWifi.asked('refused.'), onCellular.asked('refused.')]).toEqual([[], []]);
    await device.must('device', ['ip', 'link', 'set', 'cell0', 'up']);
    const { v4, v6 } = CELLULAR;
    await device.must(
      'device',
      ['ip', '-batch', '-'],
      `addr replace ${v6.near}/${v6.length} dev cell0 nodad\nroute replace default via ${v4.far} dev cell0 proto dhcp src ${v4.near} metric 700\nroute replace default via ${v6.far} dev cell0 proto ra metric 700`,
    );
    await device.untilUplink('cellular', true);
    await until('an answer', async () => (await asker.lookUp('again.example.org', 4)).ok);
  });

  it('ask the configured resolvers where the uplink names none and leads to them', async () => {
    resolvConf(WIFI.v4.far, CELLULAR.v4.far);
    await start(`otherwise: allow\n${VIA_CELLULAR}`, '');
    expect(await asker.lookUp('reached.example.org', 4)).toMatchObject({ ok: true });
    expect(onCellular.asked('reached.')).toEqual([`udp ${CELLULAR.v4.near} reached.example.org A`]);
    expect(onWifi.asked('reached.')).toEqual([]);
  });

  it('fail, and status says why, where no resolver is known that the uplink leads to', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`, '');
    expect(await asker.lookUp('unknown.example.org', 4)).toMatchObject({ ok: false });
    expect([onWifi.asked('unknown.'), onCellular.asked('unknown.')]).toEqual([[], []]);
    const { warnings } = await device.status();
    expect(warnings.map(({ code }) => code)).toContain('uplink-without-resolver');
  });

  it('try the next resolver when one does not answer', async () => {
    await start(
      `otherwise: allow\n${VIA_CELLULAR}`,
      `resolvers: [${CELLULAR.v4.near.replace(/\d+$/, '77')}, ${CELLULAR.v4.far}]\n`,
    );
    expect(await asker.lookUp('second.example.org', 4)).toMatchObject({ ok: true, addresses: ['203.0.113.30'] });
  });

  it('of programs without a policy go where they went before', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`);
    const other = Asker.start(device, [device.copyOfPython('other')]);
    try {
      expect(await other.lookUp('other.example.org', 4)).toMatchObject({ ok: true });
      expect(onWifi.asked('other.')).toEqual([`udp ${WIFI.v4.near} other.example.org A`]);
      expect(onCellular.asked('other.')).toEqual([]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});

describe('a port that somebody else has just asked from', () => {
  it('leads the query of a routed application by its own uplink, and that of another program by none', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`);
    const other = Asker.start(device, [device.copyOfPython('other')]);
    try {
      expect(await other.askFrom(40_001, 'first.example.org')).toMatchObject({ ok: true });
      expect(onWifi.asked('first.')).toEqual([`udp ${WIFI.v4.near} first.example.org A`]);
      expect(await asker.askFrom(40_001, 'taken.example.org')).toMatchObject({ ok: true });
      expect(onCellular.asked('taken.')).toEqual([`udp ${CELLULAR.v4.near} taken.example.org A`]);
      expect(await other.askFrom(40_001, 'third.example.org')).toMatchObject({ ok: true });
      expect(onWifi.asked('third.')).toEqual([`udp ${WIFI.v4.near} third.example.org A`]);
      expect([onWifi.asked('taken.'), onCellular.asked('first.'), onCellular.asked('third.')]).toEqual([[], [], []]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});

describe('answers', () => {
  const rules = (name: string, via = ''): string =>
    `rules:\n  - { to: ["${name}:${PORT}"], do: allow${via === '' ? '' : `, ${via}`} }\notherwise: deny`;

  it.each([
    ['by its uplink', VIA_CELLULAR],
    ['by the system’s route', ''],
  ])('are learned before the program has them, %s: its first packet is right each time', async (_, via) => {
    await start(rules('rotating.example.org', via));
    for (const family of [4, 6] as const) {
      const seen = await asker.lookUpAndConnect('rotating.example.org', PORT, TRIALS, family);
      expect(seen).toEqual({ ok: true, outcomes: { connected: TRIALS }, distinct: TRIALS });
    }
    const [asked, other] = via === '' ? [onWifi, onCellular] : [onCellular, onWifi];
    expect(asked.asked('rotating.').length).toBeGreaterThanOrEqual(2 * TRIALS);
    // The daemon's own look-ups are for all applications, by the system's route.
    const own = other.asked('rotating.').filter((line) => !line.includes(WIFI.v4.near));
    expect(own).toEqual([]);
    const { dns, warnings } = await device.status();
    expect(dns).toMatchObject({ asked: 2 * TRIALS, answered: 2 * TRIALS, failed: 0, mismatched: 0 });
    expect(warnings.map(({ code }) => code)).not.toContain('foreign-change');
  });

  it.each([
    ['every port', 'rotating.example.org'],
    ['a range of ports', `rotating.example.org:${PORT - 1}-${PORT + 1}`],
    ['TCP alone', `rotating.example.org:${PORT}/tcp`],
  ])('are learned for rules about %s', async (_, to) => {
    await start(`rules:\n  - { to: ["${to}"], do: allow }\notherwise: deny`);
    const seen = await asker.lookUpAndConnect('rotating.example.org', PORT, 20, 4);
    expect(seen).toEqual({ ok: true, outcomes: { connected: 20 }, distinct: 20 });
  });

  it('are learned for applications that are told by their user', async () => {
    await start('otherwise: allow');
    device.writePolicy(
      'org.example.User',
      'user: 4242',
      `rules:\n  - { to: ["rotating.example.org:${PORT}"], do: allow }\notherwise: deny`,
    );
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    const other = device.copyOfPython('user');
    const user = Asker.start(device, ['setpriv', '--reuid=4242', '--regid=4242', '--clear-groups', other]);
    try {
      const seen = await user.lookUpAndConnect('rotating.example.org', PORT, 20, 4);
      expect(seen).toEqual({ ok: true, outcomes: { connected: 20 }, distinct: 20 });
    } finally {
      await user[Symbol.asyncDispose]();
      device.remove(`${POLICIES}/org.example.User.yaml`);
    }
  });

  it('are learned through aliases, from a stub on loopback as well', async () => {
    resolvConf(STUB);
    const stub = await NameServer.start((command) => device.inside(command), [STUB]);
    try {
      await start(rules('alias.example.org'));
      const seen = await asker.lookUpAndConnect('alias.example.org', PORT, 20, 4);
      expect(seen).toEqual({ ok: true, outcomes: { connected: 20 }, distinct: 20 });
      expect(stub.asked('alias.').length).toBeGreaterThanOrEqual(20);
    } finally {
      await stub[Symbol.asyncDispose]();
    }
  });

  it.each([
    ['deny', ''],
    ['drop', ''],
    ['deny', VIA_CELLULAR],
  ])('that point a refused name at the resolver itself (%s) end no query: %s', async (verb, via) => {
    const [server, address] = via === '' ? [onWifi, WIFI.v4.far] : [onCellular, CELLULAR.v4.far];
    resolvConf(address);
    await start(`rules:\n  - { to: [blocked.example.org, moving.example.org], do: ${verb} }\notherwise: allow\n${via}`);
    expect(await asker.lookUp('blocked.example.org', 4)).toMatchObject({ ok: true, addresses: [address] });
    const { addresses } = (await asker.lookUp('moving.example.org', 4)) as { addresses?: string[] } & object;
    const moved = addresses?.find((one) => one !== address) ?? '';
    for (const name of ['first.example.org', 'second.example.org'])
      expect(await asker.lookUp(name, 4)).toMatchObject({ ok: true, addresses: ['203.0.113.30'] });
    expect(await asker.askByTcp('third.example.org')).toMatchObject({ ok: true, answers: 1 });
    expect([server.asked('first.').length, server.asked('third.').length]).toEqual([1, 1]);
    // What else the name has is refused as ever.
    expect(await asker.connect(moved, PORT)).toMatchObject({ outcome: verb === 'deny' ? 'ECONNREFUSED' : 'timeout' });
    expect(await asker.connect('203.0.113.30', PORT)).toMatchObject({ outcome: 'connected' });
    const { warnings } = await device.untilStatus('a warning', (status) =>
      status.warnings.some(({ code, message }) => code === 'names-point-inside' && message.includes('moving.')),
    );
    expect(warnings.find(({ code }) => code === 'names-point-inside')?.message).toContain(
      `blocked.example.org is ${address}, a configured resolver (`,
    );
  });

  it('whose refused addresses somebody takes out of their set are refused again, and who did it is told', async () => {
    await start('rules:\n  - { to: [second.example.org], do: deny }\notherwise: allow\n');
    expect(await asker.lookUp('second.example.org', 4)).toMatchObject({ ok: true, addresses: ['203.0.113.30'] });
    expect(await asker.connect('203.0.113.30', PORT)).toMatchObject({ outcome: 'ECONNREFUSED' });
    const listing = await device.must('device', ['nft', '-t', 'list', 'table', 'inet', 'pointsman']);
    const set = /set (refused_names4_\w+)/.exec(listing)?.[1] ?? '';
    for (const how of ['flush', 'delete']) {
      const what = how === 'flush' ? ['flush', 'set'] : ['delete', 'element'];
      const which = how === 'flush' ? [] : ['{ 203.0.113.30 }'];
      await device.must('device', ['nft', ...what, 'inet', 'pointsman', set, ...which]);
      const held = ['nft', 'list', 'set', 'inet', 'pointsman', set];
      await until(`${how}: the set is filled`, async () =>
        (await device.must('device', held)).includes('203.0.113.30'),
      );
      expect(await asker.connect('203.0.113.30', PORT)).toMatchObject({ outcome: 'ECONNREFUSED' });
    }
    const { warnings } = await device.untilStatus('a warning', (status) =>
      status.warnings.some(({ code }) => code === 'foreign-change'),
    );
    expect(warnings.find(({ code }) => code === 'foreign-change')?.message).toMatch(/^nft \(process \d+\) changed/);
  });

  it('are reported by watch and explain as they were decided, from the first connection on', async () => {
    await start(rules('rotating.example.org'));
    const [file = '', ...args] = device.inside([...POINTSMAN, 'watch', '--json', '--root', device.rootDir]);
    const watching = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const seen: DecisionEvent[] = [];
      createInterface({ input: watching.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as WatchEvent;
        if (event.kind === 'decision' && event.app === 'org.example.Asker' && event.destination.endsWith(`:${PORT}`))
          seen.push(event);
      });
      await until('somebody to be seen', async () => {
        await asker.connect('203.0.113.40', PORT);
        return seen.length > 0;
      });
      const of = (destination: string) => seen.filter((event) => event.destination === `${destination}:${PORT}`);
      for (let i = 0; i < 5; i += 1) {
        const { addresses } = (await asker.lookUp('rotating.example.org', 4)) as { addresses?: string[] } & object;
        const [address = ''] = addresses ?? [];
        expect(await asker.connect(address, PORT)).toMatchObject({ outcome: 'connected' });
        const { flows } = await device.explain({ exe: python, host: address, port: PORT, protocol: 'tcp' });
        expect(flows.map(({ verdict }) => verdict)).toEqual(['accept']);
        const [event] = await until('it to be seen', () => of(address).length > 0 && of(address));
        expect(event).toMatchObject({ by: 'kernel', verdict: 'accept' });
        expect(event?.reason).toContain('rotating.example.org');
      }
    } finally {
      watching.kill('SIGKILL');
    }
  });

  it('teach nothing about names that the rules of the application do not name', async () => {
    await start(rules('named.example.org'));
    const { addresses } = (await asker.lookUp('rotating.example.org', 4)) as { addresses?: string[] } & object;
    expect(addresses).toHaveLength(1);
    expect(await asker.connect(addresses?.[0] ?? '', PORT)).toMatchObject({ outcome: 'ECONNREFUSED' });
    expect((await device.status()).dns).toMatchObject({ learned: 0 });
  });

  it('that are forged teach nothing and reach nobody: another id, another question, another port', async () => {
    await start(rules('forged.example.org', VIA_CELLULAR));
    expect(await asker.lookUp('forged.example.org', 4)).toMatchObject({ ok: true, addresses: ['203.0.113.30'] });
    const truth = INTERNET_HOSTS.find(({ v4 }) => v4 === '203.0.113.30');
    expect(await asker.connect(truth?.v4 ?? '', PORT)).toMatchObject({ outcome: 'connected' });
    expect(await asker.connect('203.0.113.40', PORT)).toMatchObject({ outcome: 'ECONNREFUSED' });
    // The one from another port is refused by the kernel: the socket is connected.
    expect((await device.status()).dns).toMatchObject({ answered: 1, mismatched: 2 });
  });

  it('that do not fit into a datagram are fetched by TCP, by the program itself', async () => {
    await start(rules('big.example.org', VIA_CELLULAR));
    expect(await asker.lookUp('big.example.org', 4)).toMatchObject({ ok: true });
    expect(onCellular.asked('big.').map((line) => line.split(' ')[0])).toEqual(['udp', 'tcp']);
    expect(await asker.connect('203.0.113.30', PORT)).toMatchObject({ outcome: 'connected' });
  });

  it('come as fast as without us, but for the relay', async () => {
    await start(rules('rotating.example.org'));
    const relayed = await asker.measure('fixed.example.org', 300);
    const learned = await asker.measure('rotating.example.org', 300);
    const other = Asker.start(device, [device.copyOfPython('other')]);
    try {
      const direct = await other.measure('fixed.example.org', 300);
      console.log('query to answer, ms:', { direct, relayed, learned });
      expect([direct.ok, relayed.ok, learned.ok]).toEqual([true, true, true]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});

describe('while the daemon is away', () => {
  it('redirected queries are refused', async () => {
    await start(`otherwise: allow\n${VIA_CELLULAR}`);
    expect(await asker.lookUp('before.example.org', 4)).toMatchObject({ ok: true });
    await daemon.kill();
    expect(await asker.lookUp('after.example.org', 4)).toMatchObject({ ok: false });
    expect([onWifi.asked('after.'), onCellular.asked('after.')]).toEqual([[], []]);
    daemon = await device.startDaemon();
    expect(await asker.lookUp('restarted.example.org', 4)).toMatchObject({ ok: true });
  });

  it('queries go as they would without us, soon, where the files say open', async () => {
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\nwhenAway: open\n');
    try {
      await start(`otherwise: allow\n${VIA_CELLULAR}`);
      expect(await asker.lookUp('before.example.org', 4)).toMatchObject({ ok: true });
      expect(onCellular.asked('before.')).toContain(`udp ${CELLULAR.v4.near} before.example.org A`);
      await daemon.kill();
      // To the configured resolver: the uplink's is known to the daemon alone.
      resolvConf(CELLULAR.v4.far);
      daemon = await device.startDaemon();
      await until('queries to be redirected', async () => {
        const { ok } = await asker.lookUp('again.example.org', 4);
        return ok && onCellular.asked('again.').some((line) => line.includes(CELLULAR.v4.near));
      });
      await daemon.kill();
      const redirects = async (): Promise<string> =>
        await device.must('device', ['nft', 'list', 'set', 'inet', 'pointsman', 'relay_alive']);
      await until('the kernel to redirect no more', async () => !(await redirects()).includes('elements'));
      expect(await asker.lookUp('open.example.org', 4)).toMatchObject({ ok: true });
      expect(onCellular.asked('open.')).toEqual([`udp ${CELLULAR.v4.near} open.example.org A`]);
    } finally {
      device.remove('etc/pointsman/default.yaml');
    }
  });
});
