import { afterEach, beforeEach, expect, it } from 'vitest';
import type { XtablesQueue } from '../../src/plan/plan.ts';
import { CODE_QUEUE, MARK_APP, MARK_OURS, MARK_WAY, QUEUE_NUMBER, wayMark } from '../../src/plan/reserved.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';

const QUEUE: XtablesQueue = {
  number: QUEUE_NUMBER,
  bypass: false,
  mark: (MARK_OURS | CODE_QUEUE) >>> 0,
  mask: (MARK_OURS | MARK_APP) >>> 0,
};

/** The xtables queue rule and conntrack entries. */
export function netfilterContract(openWorld: OpenWorld): void {
  let world: ContractWorld;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  it('Xtables.observeQueue() returns the queue that was added, until it is deleted', async () => {
    const { xtables } = world.kernel;
    expect(await xtables.observeQueue()).toBeUndefined();
    await xtables.addQueue(QUEUE);
    await xtables.addQueue(QUEUE);
    expect(await xtables.observeQueue()).toEqual(QUEUE);
    await xtables.deleteQueue(QUEUE);
    await xtables.deleteQueue(QUEUE);
    expect(await xtables.observeQueue()).toBeUndefined();
  });

  it('Xtables.deleteQueue() deletes the one that is meant, so that a new one can stand before the old one goes', async () => {
    const { xtables } = world.kernel;
    const open = { ...QUEUE, bypass: true };
    await xtables.addQueue(QUEUE);
    await xtables.addQueue(open);
    expect(await xtables.observeQueue()).toBeUndefined();
    await xtables.deleteQueue(QUEUE);
    expect(await xtables.observeQueue()).toEqual(open);
    await xtables.deleteQueues();
    await xtables.deleteQueues();
    expect(await xtables.observeQueue()).toBeUndefined();
  });

  it('Conntrack.ownEntries() returns entries with our bit in the mark, and no others', async () => {
    const { conntrack } = world.kernel;
    await world.sendMarked(0x00050000);
    expect(conntrack.ownEntries()).toEqual([]);
    await world.sendMarked(wayMark(3));
    expect(conntrack.ownEntries().map(({ mark }) => mark)).toEqual([wayMark(3)]);
  });

  it('Conntrack.updateMark() changes the bits of the mask and no others', async () => {
    const { conntrack } = world.kernel;
    await world.sendMarked((wayMark(3) | 0x00050007) >>> 0);
    const [entry] = conntrack.ownEntries();
    if (entry === undefined) throw new Error('no entry');
    conntrack.updateMark(entry, wayMark(9), MARK_WAY);
    expect(conntrack.ownEntries().map(({ mark }) => mark)).toEqual([(wayMark(9) | 0x00050007) >>> 0]);
  });

  it('Conntrack.deleteEntry() deletes one entry, and refuses what is gone', async () => {
    const { conntrack } = world.kernel;
    await world.sendMarked(wayMark(3));
    await world.sendMarked(wayMark(4));
    const entries = conntrack.ownEntries();
    const [first] = entries;
    if (first === undefined) throw new Error('no entry');
    conntrack.deleteEntry(first);
    expect(conntrack.ownEntries()).toHaveLength(entries.length - 1);
    expect(() => conntrack.deleteEntry(first)).toThrow(
      expect.objectContaining({ name: 'KernelError', code: 'ENOENT' }),
    );
    expect(() => conntrack.updateMark(first, 0, MARK_OURS)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
}
