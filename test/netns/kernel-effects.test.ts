import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { panicClosed, panicOff } from '../../src/apply/panic.ts';
import { goto, rule } from '../../src/plan/nft/expressions.ts';
import { type NamespaceWorld, openNamespaceWorld } from '../contract/namespace-world.ts';
import { firstPlan } from '../contract/sample-plans.ts';
import { chain, SAMPLE } from '../contract/sample-ruleset.ts';

const nft = (...args: readonly string[]): string => execFileSync('nft', args, { encoding: 'utf8' });

/** Resolves with the errno of sendto(2), or with undefined. */
function sendTo(host: string): Promise<string | undefined> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    socket.send('x', 9, host, (error: NodeJS.ErrnoException | null) => {
      socket.close();
      resolve(error?.code);
    });
  });
}

describe('the real kernel', () => {
  let world: NamespaceWorld;
  beforeEach(async () => {
    world = await openNamespaceWorld();
  });
  afterEach(() => world.close());

  it('Neighbours.resolve() leaves an entry alone that somebody has made permanent', () => {
    const address = { family: 4, value: 0xc0000209n } as const;
    const entry = ['192.0.2.9', 'lladdr', '00:00:5e:00:53:09', 'dev', world.deviceName, 'nud', 'permanent'];
    execFileSync('ip', ['neigh', 'add', ...entry]);
    const { neighbours } = world.kernel;
    neighbours.resolve({ linkIndex: world.deviceIndex, address });
    expect(neighbours.find({ linkIndex: world.deviceIndex, address })).toMatchObject({
      hardwareAddress: '00:00:5e:00:53:09',
      isPermanent: true,
    });
  });

  it('panicClosed() stops all but loopback, until panicOff()', async () => {
    expect(await sendTo('192.0.2.9')).toBeUndefined();
    await panicClosed(world.kernel);
    expect(await sendTo('192.0.2.9')).toBe('EPERM');
    expect(await sendTo('2001:db8::9')).toBe('EPERM');
    expect(await sendTo('127.0.0.1')).toBeUndefined();
    expect(await sendTo('::1')).toBeUndefined();
    await panicOff(world.kernel);
    expect(await sendTo('192.0.2.9')).toBeUndefined();
  });

  it('Nft.apply() names the line that nft refused', async () => {
    const chains = new Map(SAMPLE.chains).set('app_2', chain('app_2', rule(goto('nowhere'))));
    const refused = world.kernel.nft.apply([{ kind: 'replace table', ruleset: { ...SAMPLE, chains } }], 0);
    await expect(refused).rejects.toMatchObject({ operation: 'nft', code: 'ENOENT', object: 'goto nowhere' });
  });

  it('Xtables removes the tables that it had to make', async () => {
    const { xtablesQueue } = firstPlan(world);
    if (xtablesQueue === undefined) throw new Error('the sample has no queue');
    await world.kernel.xtables.addQueue(xtablesQueue);
    expect(nft('list', 'tables')).toBe('table ip mangle\ntable ip6 mangle\n');
    await world.kernel.xtables.deleteQueues();
    expect(nft('list', 'tables')).toBe('');
  });

  it('Xtables leaves tables and rules of others as they are', async () => {
    const { xtablesQueue } = firstPlan(world);
    if (xtablesQueue === undefined) throw new Error('the sample has no queue');
    execFileSync('iptables-nft', [
      '-t',
      'mangle',
      '-A',
      'OUTPUT',
      '-m',
      'mark',
      '--mark',
      '1',
      '-j',
      'NFQUEUE',
      '--queue-num',
      '17700',
    ]);
    nft('add', 'table', 'ip6', 'mangle');
    const before = nft('list', 'ruleset');
    await world.kernel.xtables.addQueue(xtablesQueue);
    expect(await world.kernel.xtables.observeQueue()).toEqual(xtablesQueue);
    await world.kernel.xtables.deleteQueues();
    const withoutEmptyChain = /\n\tchain OUTPUT \{\n\t\ttype route hook output priority mangle; policy accept;\n\t\}/;
    expect(nft('list', 'ruleset', 'ip')).toBe(before.slice(0, before.indexOf('table ip6')));
    expect(nft('list', 'ruleset', 'ip6').replace(withoutEmptyChain, '')).toBe(
      before.slice(before.indexOf('table ip6')),
    );
  });
});
