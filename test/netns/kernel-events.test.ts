import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rule } from '../../src/plan/nft/expressions.ts';
import { LOG_GROUP, TABLE } from '../../src/plan/reserved.ts';
import type { KernelEvent } from '../../src/watch/kernel-event.ts';
import { KernelEvents } from '../../src/watch/kernel-events.ts';
import { applyOrFail } from '../contract/apply-contract.ts';
import { type NamespaceWorld, openNamespaceWorld } from '../contract/namespace-world.ts';
import { firstPlan } from '../contract/sample-plans.ts';
import { chain, rulesetOf } from '../contract/sample-ruleset.ts';

const ETH_P_IP = 0x0800;
const LOGGING = rulesetOf({
  chains: [
    {
      ...chain('output', rule({ kind: 'log', group: LOG_GROUP, prefix: 'told', perSecond: 50 })),
      hook: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' },
    },
  ],
});

/** Events as they come, to be waited for. */
class Heard {
  readonly events: KernelEvent[] = [];
  #waiting: (() => void)[] = [];

  readonly take = (event: KernelEvent): void => {
    this.events.push(event);
    for (const look of this.#waiting) look();
  };

  async first<T>(find: (event: KernelEvent) => T | undefined): Promise<T> {
    for (;;) {
      for (const event of this.events) {
        const found = find(event);
        if (found !== undefined) return found;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

describe('KernelEvents', () => {
  let world: NamespaceWorld;
  let heard: Heard;
  let events: KernelEvents;
  const start = (queueBytes?: number): Promise<KernelEvents> =>
    KernelEvents.start({
      ...(queueBytes !== undefined && { queueBytes }),
      generation: world.kernel.nft.generation(),
      onEvent: heard.take,
      onExit: (error) => {
        throw error;
      },
    });
  beforeEach(async () => {
    world = await openNamespaceWorld();
    heard = new Heard();
    events = await start();
  });
  afterEach(async () => {
    await events[Symbol.asyncDispose]();
    await world.close();
  });

  it('KernelEvents tells that the network has changed', async () => {
    execFileSync('ip', ['link', 'set', world.deviceName, 'down']);
    await heard.first(({ kind }) => (kind === 'network changed' ? true : undefined));
  });

  it('KernelEvents says when the network changed faster than it was heard, and hears on', async () => {
    await events[Symbol.asyncDispose]();
    // The kernel makes the smallest queue of it that there is.
    await using _small = await start(1);
    // Nobody takes events while this thread waits for the program.
    const routes = Array.from({ length: 200 }, (_, i) => `route add 198.51.100.${i}/32 dev ${world.deviceName}`);
    execFileSync('ip', ['-batch', '-'], { input: routes.join('\n') });
    await heard.first((event) => (event.kind === 'resynchronise' && event.source === 'network' ? true : undefined));
    heard.events.length = 0;
    execFileSync('ip', ['link', 'set', world.deviceName, 'down']);
    await heard.first(({ kind }) => (kind === 'network changed' ? true : undefined));
  });

  it('KernelEvents tells of a foreign flush, by whom, and not of what we have changed ourselves', async () => {
    const plan = firstPlan(world);
    events.beginChange();
    const { generation } = await applyOrFail(world.kernel, plan);
    events.endChange(generation);
    execFileSync('nft', ['add', 'table', 'inet', 'somebody']);
    const other = await heard.first((event) => (event.kind === 'ruleset changed' ? event : undefined));
    expect(other.isOurs).toBe(false);
    heard.events.length = 0;
    execFileSync('nft', ['flush', 'ruleset']);
    const { by, isOurs } = await heard.first((event) => (event.kind === 'ruleset changed' ? event : undefined));
    expect(isOurs).toBe(true);
    expect(by.processName).toBe('nft');
    expect(by.generation).toBe(world.kernel.nft.generation());
    expect(heard.events.filter(({ kind }) => kind === 'ruleset changed')).toHaveLength(1);
    expect(await world.kernel.nft.observe(TABLE)).toBeUndefined();
  });

  it('KernelEvents tells of the neighbours that are watched, and of no others', async () => {
    const { key, hardwareAddress } = await world.addGateway();
    await events.watchNeighbours([key]);
    await heard.first(({ kind }) => (kind === 'network changed' ? true : undefined));
    const entry = ['lladdr', '00:00:5e:00:53:99', 'dev', world.deviceName];
    execFileSync('ip', ['neigh', 'add', '192.0.2.77', ...entry]);
    world.kernel.neighbours.resolve(key);
    const news = () => heard.events.flatMap((event) => (event.kind === 'neighbours' ? event.neighbours : []));
    await heard.first(() => news().find((neighbour) => neighbour.hardwareAddress === hardwareAddress));
    expect(new Set(news().map(({ linkIndex }) => linkIndex))).toEqual(new Set([key.linkIndex]));
    await events.watchNeighbours([]);
    const before = news().length;
    execFileSync('ip', ['neigh', 'flush', 'all']);
    execFileSync('ip', ['link', 'set', world.deviceName, 'down']);
    heard.events.splice(0, heard.events.length, ...heard.events.filter(({ kind }) => kind === 'neighbours'));
    await heard.first(({ kind }) => (kind === 'network changed' ? true : undefined));
    expect(news()).toHaveLength(before);
  });

  it('KernelEvents tells of flows and logged packets while they are watched', async () => {
    await events.watchFlows({ on: true });
    await world.kernel.nft.apply([{ kind: 'replace table', ruleset: LOGGING }], 0);
    await world.sendMarked(0x00050007);
    const flow = await heard.first((event) =>
      event.kind === 'flows' ? event.events.find(({ entry }) => entry.mark === 0x00050007) : undefined,
    );
    expect(flow).toMatchObject({ kind: 'new', entry: { original: { destinationPort: 9 } } });
    const packet = await heard.first((event) =>
      event.kind === 'logged' ? event.packets.find(({ hwProtocol }) => hwProtocol === ETH_P_IP) : undefined,
    );
    expect(packet).toMatchObject({ prefix: 'told', group: LOG_GROUP });
    expect(packet.payload[0]).toBe(0x45);
    await events.watchFlows({ on: false });
    // The group is free again.
    await events.watchFlows({ on: true });
  });

  it('KernelEvents.watchFlows() rejects where somebody else has the log group', async () => {
    await events.watchFlows({ on: true });
    const second = await start();
    await expect(second.watchFlows({ on: true })).rejects.toMatchObject({ name: 'KernelError', code: 'EBUSY' });
    await second[Symbol.asyncDispose]();
  });

  it('KernelEvents can be disposed of twice, and refuses afterwards', async () => {
    await events[Symbol.asyncDispose]();
    await events[Symbol.asyncDispose]();
    await expect(events.watchFlows({ on: true })).rejects.toThrow('ended');
  });
});
