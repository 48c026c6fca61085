/**
 * Other people's routing beside the daemon. NetworkManager and systemd-networkd are the real ones; Tailscale's and mwan3's rules are made by hand from
 * their documented numbers.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { foreignState, linesMissing } from './coexistence/foreign-state.ts';
import { NetworkManager } from './coexistence/network-manager.ts';
import { Networkd } from './coexistence/networkd.ts';
import { DEFAULT_PLACE, firstPreference, ownRoutes, ownRules } from './coexistence/own-rules.ts';
import { RuleMonitor } from './coexistence/rule-monitor.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  eventually,
  FIRST,
  inDevice,
  NET,
  once,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

/** Managers configure a device within this, IPv6's duplicate address detection included. */
const SETTLED_MS = 2500;
/** One of Tailscale's machines, and an exit node. */
const PEER4 = '100.64.0.7';

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
/** Without the daemon. */
let alone: string;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  inDevice('nsenter', `--net=/run/netns/${NET}`, 'ip', 'addr', 'add', `${PEER4}/32`, 'dev', 'lo');
  root.policy(
    'mail',
    'rules:\n  - { to: ["*:81"], do: deny }\n  - { to: ["*"], do: allow, via: { require: { type: cellular }, else: block } }\n',
  );
  alone = foreignState();
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

async function oursHolds(): Promise<void> {
  // What managers do to devices is news, and followed.
  await eventually(
    () => once(root, 'mail', 'tcp', SERVER4, 80),
    (now) => now === SECOND.v4,
  );
  const seen = await Promise.all([
    once(root, 'mail', 'udp', SERVER6, 80),
    once(root, 'mail', 'tcp', SERVER4, 81),
    once(root, 'other', 'tcp', SERVER4, 81),
  ]);
  expect(seen).toEqual([SECOND.v6, 'ECONNREFUSED', FIRST.v4]);
}

/** Our rules and routes, once a manager that has just started does no more to its devices. */
async function settled(): Promise<readonly [rules: string, routes: string]> {
  const now = (): readonly [string, string] => [ownRules(), ownRoutes()];
  let since = { state: now(), atMs: Date.now() };
  return await eventually(now, (state) => {
    if (state.join() !== since.state.join()) since = { state, atMs: Date.now() };
    return Date.now() - since.atMs >= SETTLED_MS;
  });
}

const rule = (...args: readonly string[]): string => inDevice('ip', 'rule', ...args);

const codes = async (): Promise<readonly string[]> => (await daemon.status()).warnings.map(({ code }) => code);

describe('beside Tailscale’s rules, the daemon', () => {
  const RULES = [
    ['5210', 'fwmark', '0x80000/0xff0000', 'lookup', 'main'],
    ['5230', 'fwmark', '0x80000/0xff0000', 'lookup', 'default'],
    ['5250', 'fwmark', '0x80000/0xff0000', 'unreachable'],
    ['5270', 'lookup', '52'],
  ] as const;
  let withTailscale: string;

  beforeAll(() => {
    for (const [preference, ...rest] of RULES) rule('add', 'pref', preference, ...rest);
    inDevice('ip', 'route', 'add', `${PEER4}/32`, 'via', '10.9.1.1', 'dev', 'u1', 'table', '52');
    withTailscale = foreignState();
  });

  afterAll(() => {
    for (const [preference] of RULES) rule('del', 'pref', preference);
    inDevice('ip', 'route', 'flush', 'table', '52');
  });

  it('stays where it is and says nothing, and its machines are reached', async () => {
    await oursHolds();
    expect(await once(root, 'other', 'tcp', PEER4, 80)).toBe(FIRST.v4);
    // Its own way is not the one that the policy requires: neither is taken.
    expect(['EHOSTUNREACH', 'EPERM', 'timeout']).toContain(await once(root, 'mail', 'udp', PEER4, 80));
    expect(firstPreference()).toBe(DEFAULT_PLACE);
    expect(await codes()).toEqual([]);
  });

  it('goes before its table where that leads to an exit node, and back', async () => {
    inDevice('ip', 'route', 'add', 'default', 'via', '10.9.1.1', 'dev', 'u1', 'table', '52');
    await eventually(firstPreference, (first) => first < 5210);
    await oursHolds();
    expect(await codes()).toEqual([]);
    inDevice('ip', 'route', 'del', 'default', 'table', '52');
    await eventually(firstPreference, (first) => first === DEFAULT_PLACE);
    expect(linesMissing(withTailscale, foreignState())).toEqual([]);
  });
});

describe('beside mwan3’s rules, the daemon', () => {
  it('says that its marks are bits of ours, and nothing any more when they are gone', async () => {
    rule('add', 'pref', '2001', 'fwmark', '0x100/0x3f00', 'lookup', '1');
    rule('add', 'pref', '2061', 'fwmark', '0x3d00/0x3f00', 'blackhole');
    const { warnings } = await eventually(
      () => daemon.status(),
      ({ warnings: all }) => all.some(({ code }) => code === 'foreign-rule'),
    );
    expect(warnings.map(({ message }) => message).join()).toContain('routing rule 2001 (mwan3) tells packets by mark');
    await oursHolds();
    for (const preference of ['2001', '2061']) rule('del', 'pref', preference);
    await eventually(codes, (now) => now.length === 0);
  });
});

describe('beside strangers in what is ours, the daemon', () => {
  it('names a rule among our rules and a route in our tables, and leaves them to whoever made them', async () => {
    rule('add', 'pref', '17800', 'to', '198.18.0.0/15', 'lookup', 'main');
    inDevice('ip', 'route', 'add', '198.18.0.0/15', 'via', '10.9.1.1', 'dev', 'u1', 'table', '17702');
    const { warnings } = await eventually(
      () => daemon.status(),
      ({ warnings: all }) => all.some(({ message }) => message.includes('17702')),
    );
    expect(warnings.map(({ message }) => message).join()).toContain('routing rule 17800 (nobody known) stands among');
    await oursHolds();
    rule('del', 'pref', '17800');
    inDevice('ip', 'route', 'del', '198.18.0.0/15', 'table', '17702');
    await eventually(codes, (now) => now.length === 0);
  });
});

describe('beside all of them, the daemon', () => {
  it('leaves, when it stops, what was there before it', async () => {
    await daemon.signal('SIGTERM');
    expect(foreignState()).toBe(alone);
    daemon = await machine.startDaemon();
  });
});

describe('beside NetworkManager, the daemon', () => {
  it('keeps its rules, and has its routes, when NetworkManager activates both devices anew', async () => {
    await using manager = await NetworkManager.start();
    await oursHolds();
    const [rules, routes] = await settled();
    await using monitor = await RuleMonitor.start();
    manager.activate();
    await eventually(
      // The last two are for whoever has to find out why it did not come about.
      async () => [ownRules(), ownRoutes(), inDevice('ip', 'route'), (await daemon.status()).uplinks],
      (now) => now[0] === rules && now[1] === routes,
    );
    await oursHolds();
    // Those of an address go with it.
    expect(monitor.deleted.filter((line) => line.includes('from all fwmark'))).toEqual([]);
  });
});

describe('beside systemd-networkd, the daemon', () => {
  it('has its rules and routes again after networkd has deleted them', async () => {
    await using networkd = await Networkd.start();
    await oursHolds();
    const [rules, routes] = await settled();
    await using monitor = await RuleMonitor.start();
    networkd.reconfigure();
    await eventually(
      () => monitor.deleted.length,
      (deleted) => deleted >= rules.split('\n').length,
    );
    await eventually(
      () => [ownRules(), ownRoutes()],
      (now) => now[0] === rules && now[1] === routes,
    );
    await oursHolds();
  });
});
