/** The kernel's own events and tables, read for the accounts; in a namespace of its own. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wayMark } from '../../src/plan/reserved.ts';
import { ConntrackAccountSource } from '../../src/watch/conntrack-account-source.ts';
import { isConntrackCounted, isConntrackTold } from '../../src/watch/conntrack-accounting.ts';
import { TrafficAccounts } from '../../src/watch/traffic-accounts.ts';
import { type NamespaceWorld, openNamespaceWorld } from '../contract/namespace-world.ts';

const NUMBERS = { apps: new Map([['mail', 3]]), uplinks: new Map([['wifi', 7]]) };
const MAIL_BY_WIFI = (wayMark(7) | 3) >>> 0;
/** A datagram with one byte. */
const DATAGRAM = { packets: 1, bytes: 29 };
const NOTHING = { packets: 0, bytes: 0 };

describe('ConntrackAccountSource', () => {
  let world: NamespaceWorld;
  let accounts: TrafficAccounts;
  let source: ConntrackAccountSource;
  const open = (queueBytes?: number): void => {
    accounts = new TrafficAccounts();
    accounts.follow(NUMBERS);
    source = ConntrackAccountSource.open(accounts, queueBytes);
    source.noteStanding();
  };
  const write = (name: string, value: string): unknown =>
    execFileSync('ip', [
      'netns',
      'exec',
      world.namespace,
      'sh',
      '-c',
      `echo ${value} > /proc/sys/net/netfilter/${name}`,
    ]);
  const endAll = (): unknown => execFileSync('conntrack', ['-F'], { stdio: 'ignore' });
  beforeEach(async () => {
    world = await openNamespaceWorld();
    write('nf_conntrack_acct', '1');
  });
  afterEach(async () => {
    source[Symbol.dispose]();
    await world.close();
  });

  it('ConntrackAccountSource tells of what is open and what has ended, and no byte twice', async () => {
    open();
    for (let i = 0; i < 3; i += 1) await world.sendMarked(MAIL_BY_WIFI);
    await world.sendMarked(0x00050000);
    source.look();
    const head = { app: 'mail', way: 'uplink', uplink: 'wifi' };
    const three = { sent: { packets: 3, bytes: 3 * DATAGRAM.bytes }, received: NOTHING };
    expect(accounts.totals()).toEqual([{ ...head, begun: 3, ended: 0, open: 3, ...three }]);
    endAll();
    expect(source.takeEnded()).toBe(true);
    expect(accounts.totals()).toEqual([{ ...head, begun: 3, ended: 3, open: 0, ...three }]);
    source.look();
    expect(accounts.totals()).toEqual([{ ...head, begun: 3, ended: 3, open: 0, ...three }]);
    expect(accounts.overruns).toBe(0);
  });

  it('ConntrackAccountSource counts what was open before from then on, and finds its end, which is told nobody', async () => {
    await world.sendMarked(MAIL_BY_WIFI);
    open();
    source.look();
    expect(accounts.totals()).toMatchObject([{ begun: 0, ended: 0, open: 1, sent: NOTHING }]);
    endAll();
    source.look();
    expect(accounts.totals()).toMatchObject([{ begun: 0, ended: 1, open: 0, sent: NOTHING }]);
  });

  it('ConntrackAccountSource says so when ends were lost, and knows those of what it had looked at', async () => {
    // The kernel makes the smallest queue of it that there is.
    open(1);
    for (let i = 0; i < 20; i += 1) await world.sendMarked(MAIL_BY_WIFI);
    source.look();
    expect(accounts.totals()).toMatchObject([{ begun: 20, open: 20 }]);
    endAll();
    source.takeEnded();
    expect(accounts.overruns).toBeGreaterThan(0);
    const [told] = accounts.totals();
    expect(told?.ended).toBeGreaterThan(0);
    expect(told?.ended).toBeLessThan(20);
    source.look();
    expect(accounts.totals()).toMatchObject([{ begun: 20, ended: 20, open: 0, sent: { packets: 20 } }]);
  });

  it('ConntrackAccountSource counts connections alone where the kernel counts no bytes', async () => {
    write('nf_conntrack_acct', '0');
    open();
    await world.sendMarked(MAIL_BY_WIFI);
    endAll();
    source.look();
    expect(accounts.totals()).toEqual([{ app: 'mail', way: 'uplink', uplink: 'wifi', begun: 1, ended: 1, open: 0 }]);
  });
});

describe('isConntrackTold', () => {
  it('isConntrackTold and isConntrackCounted say what the kernel of this namespace does', async () => {
    const world = await openNamespaceWorld();
    try {
      const before = [isConntrackCounted(), isConntrackTold()];
      const off = 'echo 1 > nf_conntrack_acct; echo 0 > nf_conntrack_events';
      const command = `cd /proc/sys/net/netfilter; ${off}`;
      execFileSync('ip', ['netns', 'exec', world.namespace, 'sh', '-c', command]);
      expect([before, isConntrackCounted(), isConntrackTold()]).toEqual([[false, true], true, false]);
    } finally {
      await world.close();
    }
  });
});
