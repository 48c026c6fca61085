/** The real daemon in a namespace, with real programs: the oracle is what they and the other end see. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/api/explanation.ts';
import { Machine } from './daemon/machine.ts';
import {
  DaemonProcess,
  eventually,
  FIRST,
  HeldSocket,
  inDevice,
  once,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
  setUplink,
} from './daemon/world.ts';

const VIA_SECOND = 'via: { require: { type: cellular }, else: block }';
/**
 * How a program without an uplink hears of it: where the kernel itself decides, the sending call fails. Of what is refused
 * later, unconnected sockets are not told (udp(7), IP_RECVERR).
 */
const UNREACHABLE: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  [SERVER4]: { tcp: ['ENETUNREACH'], udp: ['EPERM', 'EHOSTUNREACH'], 'udp-unconnected': ['EPERM', 'timeout'] },
  [SERVER6]: { tcp: ['ECONNREFUSED', 'ENETUNREACH'], udp: ['EPERM', 'EACCES'] },
};

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

const foreignState = (): string =>
  [inDevice('nft', 'list', 'table', 'inet', 'foreign'), inDevice('ip', 'rule', 'list', 'pref', '5000')].join('\n');

/** By one that lets everything go: names and counts of the table stay. */
function replaceLastGoto(): void {
  const rules = inDevice('nft', '-a', 'list', 'chain', 'inet', 'pointsman', 'output').split('\n');
  const handle = rules.flatMap((line) => /goto .*# handle (\d+)/.exec(line)?.[1] ?? []).at(-1) ?? '';
  inDevice('nft', 'replace', 'rule', 'inet', 'pointsman', 'output', 'handle', handle, 'accept');
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  inDevice(
    'nft',
    'add table inet foreign; add chain inet foreign c { type filter hook output priority 0; }; add rule inet foreign c counter',
  );
  inDevice('ip', 'rule', 'add', 'pref', '5000', 'fwmark', '0x10000/0xff0000', 'lookup', 'main');
  root.policy(
    'mail',
    `rules:\n  - { to: ["*:80"], do: allow, ${VIA_SECOND} }\n  - { to: ["*:81"], do: deny }\n  - { to: ["*:82"], do: drop }\n`,
  );
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe('the daemon', () => {
  it('the daemon lets a program without a policy go by the system route', async () => {
    expect(await once(root, 'other', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    expect(await once(root, 'other', 'tcp', SERVER6, 81)).toBe(FIRST.v6);
  });

  it.each(['tcp', 'udp', 'udp-unconnected'])(
    'the daemon sends a %s flow out of the uplink that its policy requires, with its address',
    async (kind) => {
      expect(await once(root, 'mail', kind, SERVER4, 80)).toBe(SECOND.v4);
      expect(await once(root, 'mail', kind, SERVER6, 80)).toBe(SECOND.v6);
    },
  );

  it('the daemon refuses what a policy denies at once, and drops silently what it drops', async () => {
    expect(await once(root, 'mail', 'tcp', SERVER4, 81)).toBe('ECONNREFUSED');
    expect(await once(root, 'mail', 'tcp', SERVER6, 81)).toBe('ECONNREFUSED');
    expect(['EPERM', 'EHOSTUNREACH']).toContain(await once(root, 'mail', 'udp', SERVER4, 81));
    expect(await once(root, 'mail', 'tcp', SERVER4, 82)).toBe('timeout');
  });

  it('the daemon lets ping of a program without a policy pass', () => {
    expect(inDevice('ping', '-c1', '-W2', SERVER4)).toContain('1 received');
    expect(inDevice('ping', '-c1', '-W2', SERVER6)).toContain('1 received');
  });

  it('the daemon explains the line that decides', async () => {
    const explanation = await daemon.ask<Explanation>('POST', '/v1/explain', {
      exe: root.program('mail'),
      host: SERVER4,
      port: 81,
      protocol: 'tcp',
    });
    const path = 'decided in the kernel (program map)';
    expect(explanation).toMatchObject({ app: 'mail', flows: [{ verdict: 'reject', cause: 'denied', line: 6, path }] });
  });

  it.each(['tcp', 'udp'])('the daemon asks once for a %s flow: further packets never see user space', async (kind) => {
    const held = new HeldSocket(root, 'mail', kind, SERVER4, 80);
    expect(await held.line()).toBe(SECOND.v4);
    const before = (await daemon.status()).verdicts.queued;
    for (let i = 0; i < 20; i += 1) expect(await held.exchange()).toBe(SECOND.v4);
    expect((await daemon.status()).verdicts.queued).toBe(before);
    held.close();
  });

  it('the daemon ends live flows that a new policy forbids, and leaves others alone', async () => {
    root.policy('chat', 'rules:\n  - { to: ["*"], do: allow }\n');
    await daemon.reload();
    const tcp = new HeldSocket(root, 'chat', 'tcp', SERVER4, 83);
    const udp = new HeldSocket(root, 'chat', 'udp', SERVER6, 83);
    const other = new HeldSocket(root, 'mail', 'tcp', SERVER4, 80);
    expect([await tcp.line(), await udp.line(), await other.line()]).toEqual([FIRST.v4, FIRST.v6, SECOND.v4]);
    root.policy('chat', 'rules:\n  - { to: ["*"], do: deny }\n');
    await daemon.reload();
    expect(await tcp.exchange()).not.toBe(FIRST.v4);
    expect(await udp.exchange()).not.toBe(FIRST.v6);
    expect(await other.exchange()).toBe(SECOND.v4);
    for (const held of [tcp, udp, other]) held.close();
  });

  it('the daemon sees changed files by itself', async () => {
    root.policy('news', 'otherwise: deny\n');
    await eventually(
      () => once(root, 'news', 'tcp', SERVER4, 84),
      (seen) => seen === 'ECONNREFUSED',
    );
    root.policy('news', 'otherwise: allow\n');
    await eventually(
      () => once(root, 'news', 'tcp', SERVER4, 84),
      (seen) => seen === FIRST.v4,
    );
  });

  it('the daemon keeps the last good policy of a broken file and says so', async () => {
    root.write('etc/pointsman/policies/news.yaml', 'pointsman: 1\napp: news\nmatch: [\n');
    await daemon.reload();
    expect((await daemon.status()).diagnostics.map(({ file }) => file)).toContain(
      join(root.dir, 'etc/pointsman/policies/news.yaml'),
    );
    expect(await once(root, 'news', 'tcp', SERVER4, 84)).toBe(FIRST.v4);
  });

  it.each([
    ['tcp', SERVER4, SECOND.v4],
    ['udp', SERVER4, SECOND.v4],
    ['udp-unconnected', SERVER4, SECOND.v4],
    ['tcp', SERVER6, SECOND.v6],
    ['udp', SERVER6, SECOND.v6],
  ])('the daemon lets no %s flow to %s leave by another uplink when its own is lost', async (kind, host, address) => {
    const before = new HeldSocket(root, 'mail', kind, host, 80);
    expect(await before.line()).toBe(address);
    setUplink('2', 'down');
    await eventually(
      () => daemon.status(),
      ({ uplinks }) => uplinks.some(({ name, up }) => name === 'cellular' && !up),
    );
    const seen = [await before.exchange(), await once(root, 'mail', kind, host, 80)];
    setUplink('2', 'up');
    await eventually(
      () => daemon.status(),
      ({ uplinks }) => uplinks.every(({ up, v4, v6 }) => up && v4 && v6),
    );
    expect(seen.filter((line) => line === FIRST.v4 || line === FIRST.v6)).toEqual([]);
    expect(UNREACHABLE[host]?.[kind]).toContain(seen[1]);
    expect(await once(root, 'mail', kind, host, 80)).toBe(address);
    before.close();
  });

  it('the daemon keeps a flow on its uplink when a better one comes', async () => {
    root.policy('sync', 'rules:\n  - { to: ["*"], do: allow, via: { prefer: { type: cellular } } }\n');
    await daemon.reload();
    setUplink('2', 'down');
    await eventually(
      () => daemon.status(),
      ({ uplinks }) => uplinks.some(({ name, up }) => name === 'cellular' && !up),
    );
    const held = new HeldSocket(root, 'sync', 'tcp', SERVER4, 83);
    expect(await held.line()).toBe(FIRST.v4);
    setUplink('2', 'up');
    await eventually(
      () => once(root, 'sync', 'tcp', SERVER4, 83),
      (seen) => seen === SECOND.v4,
    );
    expect(await held.exchange()).toBe(FIRST.v4);
    held.close();
  });

  it('the daemon notices a foreign flush of the whole ruleset, repairs it and names who did it', async () => {
    const foreign = inDevice('nft', 'list', 'table', 'inet', 'foreign');
    inDevice('nft', 'flush', 'ruleset');
    await eventually(
      () => inDevice('nft', 'list', 'tables'),
      (tables) => tables.includes('table inet pointsman'),
    );
    await eventually(
      () => once(root, 'mail', 'tcp', SERVER4, 81),
      (seen) => seen === 'ECONNREFUSED',
    );
    // Told when the round is over, a moment after its rules are there.
    const warningOf = async () => (await daemon.status()).warnings.find(({ code }) => code === 'foreign-change');
    const warning = await eventually(warningOf, (found) => found !== undefined);
    expect(warning?.message).toMatch(/^nft \(process \d+\)/);
    expect(foreign).toContain('table inet foreign');
    inDevice(
      'nft',
      'add table inet foreign; add chain inet foreign c { type filter hook output priority 0; }; add rule inet foreign c counter',
    );
  });

  it('the daemon puts back a routing rule that somebody deleted', async () => {
    const rules = (): string => inDevice('ip', 'rule');
    const before = rules();
    inDevice('ip', 'rule', 'del', 'pref', '17712');
    await eventually(rules, (now) => now === before);
  });

  it('the daemon refuses to run twice in one network namespace', async () => {
    expect(await DaemonProcess.refused(root)).toMatchObject({
      code: 4,
      log: expect.stringContaining('running already'),
    });
  });

  it('the daemon takes back a reload that nobody confirms', async () => {
    root.policy('news', 'otherwise: deny\n');
    await daemon.ask('POST', '/v1/reload', { confirmMs: 200 });
    await eventually(
      () => daemon.status(),
      ({ warnings }) => warnings.some(({ code }) => code === 'rolled-back'),
    );
    await eventually(
      () => once(root, 'news', 'tcp', SERVER4, 84),
      (seen) => seen === FIRST.v4,
    );
    await daemon.reload();
    expect(await once(root, 'news', 'tcp', SERVER4, 84)).toBe('ECONNREFUSED');
    await daemon.ask('POST', '/v1/reload', { confirmMs: 60_000 });
    expect(await daemon.ask('POST', '/v1/confirm')).toEqual({ confirmed: true });
  });

  it('the daemon leaves flows going and new ones by their way when it is killed, and its successor adopts them', async () => {
    const held = new HeldSocket(root, 'mail', 'tcp', SERVER4, 80);
    expect(await held.line()).toBe(SECOND.v4);
    await daemon.signal('SIGKILL');
    expect(await held.exchange()).toBe(SECOND.v4);
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(SECOND.v4);
    daemon = await machine.startDaemon();
    expect(await held.exchange()).toBe(SECOND.v4);
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(SECOND.v4);
    held.close();
  });

  it('the daemon puts back a rule that somebody has replaced by another, and believes none that was replaced while it was away', async () => {
    const refused = ['EPERM', 'EHOSTUNREACH'];
    const asked = (): Promise<string> => once(root, 'mail', 'udp', SERVER4, 81);
    expect(refused).toContain(await asked());
    replaceLastGoto();
    expect(await eventually(asked, (seen) => refused.includes(seen))).toBeDefined();
    const warningOf = async () => (await daemon.status()).warnings.find(({ code }) => code === 'foreign-change');
    expect((await eventually(warningOf, (found) => found !== undefined))?.message).toMatch(/^nft \(process \d+\)/);
    await daemon.signal('SIGKILL');
    replaceLastGoto();
    daemon = await machine.startDaemon();
    expect(refused).toContain(await asked());
  });

  it('the daemon leaves nothing behind when it stops, and has never touched what is not its own', async () => {
    expect(foreignState()).toMatch(/0x10000\/0xff0000/);
    expect(await daemon.signal('SIGTERM')).toBe(0);
    expect(inDevice('nft', 'list', 'tables').trim()).toBe('table inet foreign');
    expect(inDevice('ip', 'rule') + inDevice('ip', '-6', 'rule')).not.toMatch(/177\d\d:|178\d\d:/);
    expect(
      inDevice('ip', 'route', 'show', 'table', 'all') + inDevice('ip', '-6', 'route', 'show', 'table', 'all'),
    ).not.toMatch(/proto 177/);
    expect(foreignState()).toMatch(/0x10000\/0xff0000/);
    expect(readdirSync(join(root.dir, 'run/pointsman'))).toEqual([]);
    expect(await once(root, 'mail', 'tcp', SERVER4, 81)).toBe(FIRST.v4);
  });

  it('the daemon removes everything and ends when nobody confirms its start', async () => {
    const unconfirmed = await machine.startDaemon(['--confirm', '1s']);
    expect(await unconfirmed.ended).toBe(1);
    expect(inDevice('nft', 'list', 'tables').trim()).toBe('table inet foreign');
  });

  it('the daemon spares a connection that was there before it, whatever the default says', async () => {
    const before = new HeldSocket(root, 'other', 'tcp', SERVER4, 80);
    expect(await before.line()).toBe(FIRST.v4);
    daemon = await machine.startDaemon();
    expect(await before.exchange()).toBe(FIRST.v4);
    before.close();
    expect(readFileSync(join(root.dir, 'var/lib/pointsman/ids.json'), 'utf8')).toContain('"mail"');
  });
});
