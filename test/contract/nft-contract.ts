import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Nft } from '../../src/kernel/kernel.ts';
import { ERESTART } from '../../src/netlink/uapi.ts';
import type { NftCommand } from '../../src/plan/nft/command.ts';
import { accept, drop, goto, inSet, jump, rule } from '../../src/plan/nft/expressions.ts';
import { PANIC_TABLE, TABLE } from '../../src/plan/reserved.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';
import {
  APPS,
  CGROUPS,
  chain,
  element,
  gotoElement,
  markElement,
  PORTS,
  SAMPLE,
  TIMED,
  VANISHED_CGROUP,
  WAYS,
} from './sample-ruleset.ts';

const NOW_MS = Date.now();
const REPLACE: NftCommand = { kind: 'replace table', ruleset: SAMPLE };

const SAMPLE_COUNTS = {
  chains: new Map([
    ['output', 3],
    ['app_1', 2],
    ['app_2', 1],
    ['shared', 1],
  ]),
  sets: new Map([
    ['ports', 2],
    ['timed', 1],
  ]),
  maps: new Map([
    ['apps', 2],
    ['ways', 1],
    ['cgroups_1', 0],
  ]),
};

/** Each is refused as a whole: a chain that the same transaction adds before is not there afterwards. */
const REFUSED: readonly (readonly [what: string, code: string, command: NftCommand])[] = [
  ['a rule in a chain that is missing', 'ENOENT', { kind: 'add rule', chain: 'nowhere', rule: rule(accept) }],
  ['a jump to a chain that is missing', 'ENOENT', { kind: 'add rule', chain: 'app_1', rule: rule(jump('nowhere')) }],
  [
    'a lookup in a set that is missing',
    'ENOENT',
    { kind: 'add rule', chain: 'app_1', rule: rule(inSet('nowhere', { kind: 'th dport' }), drop) },
  ],
  ['flushing a chain that is missing', 'ENOENT', { kind: 'flush chain', chain: 'nowhere' }],
  ['deleting a chain that is missing', 'ENOENT', { kind: 'delete chain', chain: 'nowhere' }],
  ['deleting a chain that a rule jumps to', 'EBUSY', { kind: 'delete chain', chain: 'shared' }],
  ['deleting a chain that a verdict map names', 'EBUSY', { kind: 'delete chain', chain: 'app_1' }],
  ['deleting a set that is missing', 'ENOENT', { kind: 'delete set', set: 'nowhere' }],
  ['deleting a set that a rule looks in', 'EBUSY', { kind: 'delete set', set: PORTS.name }],
  ['deleting a map that a rule looks in', 'EBUSY', { kind: 'delete map', map: APPS.name }],
  ['flushing a set that is missing', 'ENOENT', { kind: 'flush set', set: 'nowhere' }],
  [
    'an interval that overlaps with another',
    'EEXIST',
    { kind: 'add elements', set: PORTS, elements: [element([85n, 95n])] },
  ],
  [
    'deleting an element that is missing',
    'ENOENT',
    { kind: 'delete elements', set: PORTS, elements: [element([99n, 99n])] },
  ],
  [
    'a map element with other data',
    'EEXIST',
    { kind: 'add map elements', map: APPS, elements: [gotoElement(1n, 'app_2')] },
  ],
  [
    'a map element that names a missing chain',
    'ENOENT',
    { kind: 'add map elements', map: APPS, elements: [gotoElement(9n, 'nowhere')] },
  ],
  [
    'deleting a map element that is missing',
    'ENOENT',
    { kind: 'delete map elements', map: WAYS, elements: [markElement(9n, 0)] },
  ],
];

export function nftContract(openWorld: OpenWorld): void {
  let world: ContractWorld;
  let nft: Nft;
  beforeEach(async () => {
    world = await openWorld();
    nft = world.kernel.nft;
  });
  afterEach(() => world.close());

  tableContract(() => nft);
  refusalContract(() => nft);
  cgroupContract(() => nft);
}

function tableContract(nft: () => Nft): void {
  it('Nft.observe() is undefined where there is no such table', async () => {
    expect(await nft().observe(TABLE)).toBeUndefined();
  });

  it('Nft.apply() loads a table, and once more in the place of the first', async () => {
    await nft().apply([REPLACE], NOW_MS);
    expect(await nft().observe(TABLE)).toMatchObject(SAMPLE_COUNTS);
    await nft().apply([REPLACE], NOW_MS);
    expect(await nft().observe(TABLE)).toMatchObject(SAMPLE_COUNTS);
  });

  it('Nft.refreshElements() lets elements hold from now on, whether they are there or not', async () => {
    await nft().apply([REPLACE], NOW_MS);
    const elements = [2n, 3n].map((value) => ({ ...element([value, value]), expiresAtMs: NOW_MS + 3_600_000 }));
    const generation = nft().generation();
    const now = nft().refreshElements([{ set: TIMED, elements }], NOW_MS, generation);
    expect([now, nft().generation()]).toEqual([generation + 1, generation + 1]);
    const count = (await nft().observe(TABLE))?.sets.get(TIMED.name);
    nft().refreshElements([{ set: TIMED, elements }], NOW_MS, now);
    expect((await nft().observe(TABLE))?.sets.get(TIMED.name)).toBe(count);
    expect(count).toBeGreaterThan(1);
    const latest = nft().generation();
    expect(nft().refreshElements([], NOW_MS, latest)).toBe(latest);
    const nowhere = { ...TIMED, name: 'nowhere' };
    expect(() => nft().refreshElements([{ set: nowhere, elements }], NOW_MS, latest)).toThrow(/ENOENT/);
  });

  it('Nft.refreshElements() changes nothing where somebody else has changed something since', async () => {
    await nft().apply([REPLACE], NOW_MS);
    const generation = nft().generation();
    await nft().apply([REPLACE], NOW_MS);
    const before = await nft().observe(TABLE);
    const elements = [{ ...element([2n, 2n]), expiresAtMs: NOW_MS + 3_600_000 }];
    expect(() => nft().refreshElements([{ set: TIMED, elements }], NOW_MS, generation)).toThrow(
      expect.objectContaining({ errno: ERESTART }),
    );
    expect(await nft().observe(TABLE)).toEqual(before);
  });

  it('Nft.apply() runs a list of commands in its order', async () => {
    await nft().apply([REPLACE], NOW_MS);
    const expiresAtMs = NOW_MS + 3_600_000;
    await nft().apply(
      [
        { kind: 'add chain', chain: chain('app_3') },
        { kind: 'add rule', chain: 'app_3', rule: rule(goto('shared')) },
        { kind: 'add map elements', map: APPS, elements: [gotoElement(3n, 'app_3')] },
        { kind: 'delete map elements', map: APPS, elements: [gotoElement(2n, 'app_2')] },
        { kind: 'delete chain', chain: 'app_2' },
        { kind: 'flush set', set: TIMED.name },
        {
          kind: 'add elements',
          set: TIMED,
          elements: [2n, 3n, 4n].map((last) => ({ ...element([last, last]), expiresAtMs })),
        },
        { kind: 'add set', set: { ...PORTS, name: 'more' } },
        { kind: 'delete map', map: WAYS.name },
      ],
      NOW_MS,
    );
    const observed = await nft().observe(TABLE);
    expect(observed?.chains).toEqual(
      new Map([
        ['output', 3],
        ['app_1', 2],
        ['shared', 1],
        ['app_3', 1],
      ]),
    );
    expect(observed?.sets).toEqual(new Map([...SAMPLE_COUNTS.sets, ['timed', 3], ['more', 2]]));
    expect(observed?.maps).toEqual(
      new Map([
        ['apps', 2],
        ['cgroups_1', 0],
      ]),
    );
  });

  it('Nft.apply() accepts objects and elements that are there already', async () => {
    await nft().apply([REPLACE], NOW_MS);
    await nft().apply(
      [
        { kind: 'add chain', chain: chain('app_1') },
        { kind: 'add set', set: { ...PORTS, elements: [] } },
        { kind: 'add map elements', map: APPS, elements: [gotoElement(1n, 'app_1')] },
      ],
      NOW_MS,
    );
    expect(await nft().observe(TABLE)).toMatchObject(SAMPLE_COUNTS);
  });

  it('Nft.apply() deletes a table whether it is there or not', async () => {
    await nft().apply([REPLACE], NOW_MS);
    await nft().apply([{ kind: 'delete table', table: TABLE }], NOW_MS);
    await nft().apply([{ kind: 'delete table', table: TABLE }], NOW_MS);
    expect(await nft().observe(TABLE)).toBeUndefined();
  });

  it('Nft.generation() changes with what is committed, and with nothing else', async () => {
    const before = nft().generation();
    await nft().check([REPLACE], NOW_MS);
    await nft().observe(TABLE);
    await nft().supports('queue');
    await expect(nft().apply([{ kind: 'delete chain', chain: 'nowhere' }], NOW_MS)).rejects.toThrow();
    expect(nft().generation()).toBe(before);
    await nft().apply([REPLACE], NOW_MS);
    expect(nft().generation()).not.toBe(before);
  });

  it('Nft.loadPanicTable() loads a table of its own, again and again', async () => {
    await nft().loadPanicTable();
    await nft().loadPanicTable();
    expect([...((await nft().observe(PANIC_TABLE))?.chains.keys() ?? [])]).toEqual(['output', 'input', 'forward']);
    expect(await nft().observe(TABLE)).toBeUndefined();
    await nft().apply([{ kind: 'delete table', table: PANIC_TABLE }], NOW_MS);
    expect(await nft().observe(PANIC_TABLE)).toBeUndefined();
  });
}

function refusalContract(nft: () => Nft): void {
  it.each(REFUSED)('Nft.apply() refuses %s with %s and changes nothing', async (_what, code, command) => {
    await nft().apply([REPLACE], NOW_MS);
    const commands: NftCommand[] = [{ kind: 'add chain', chain: chain('before') }, command];
    // What goes by nft(8) with another command may go by netlink alone.
    for (const transaction of [commands, [command]]) {
      await expect(nft().apply(transaction, NOW_MS)).rejects.toMatchObject({ name: 'KernelError', code });
      expect(await nft().observe(TABLE)).toMatchObject(SAMPLE_COUNTS);
    }
  });

  it('Nft.check() refuses what apply() would refuse, and loads nothing', async () => {
    const ruleset = { ...SAMPLE, chains: new Map(SAMPLE.chains).set('shared', chain('shared', rule(goto('nowhere')))) };
    const refused: NftCommand = { kind: 'replace table', ruleset };
    await expect(nft().check([refused], NOW_MS)).rejects.toMatchObject({ code: 'ENOENT' });
    await nft().check([REPLACE], NOW_MS);
    expect(await nft().observe(TABLE)).toBeUndefined();
  });
}

function cgroupContract(nft: () => Nft): void {
  const add: NftCommand = { kind: 'add map elements', map: CGROUPS, elements: CGROUPS.elements };
  const remove: NftCommand = { ...add, kind: 'delete map elements' };

  it('Nft.apply() takes elements for cgroups that do not exist, by number', async () => {
    await nft().apply([REPLACE, add], NOW_MS);
    expect((await nft().observe(TABLE))?.maps.get(CGROUPS.name)).toBe(1);
    await nft().apply([add], NOW_MS);
    await nft().apply([remove], NOW_MS);
    expect((await nft().observe(TABLE))?.maps.get(CGROUPS.name)).toBe(0);
  });

  it('Nft.apply() swaps a cgroup’s element in one transaction', async () => {
    await nft().apply([REPLACE, add], NOW_MS);
    const elements = [gotoElement(VANISHED_CGROUP, 'app_2')];
    await nft().apply([remove, { kind: 'add map elements', map: CGROUPS, elements }], NOW_MS);
    expect((await nft().observe(TABLE))?.maps.get(CGROUPS.name)).toBe(1);
    // Only the new element keeps its chain.
    await nft().apply([{ kind: 'delete map elements', map: APPS, elements: APPS.elements }], NOW_MS);
    await expect(nft().apply([{ kind: 'delete chain', chain: 'app_2' }], NOW_MS)).rejects.toMatchObject({
      code: 'EBUSY',
    });
    await nft().apply([{ kind: 'delete chain', chain: 'app_1' }], NOW_MS);
  });

  it('Nft.apply() loads thousands of cgroup elements at once', async () => {
    const elements = Array.from({ length: 5_000 }, (_, index) => gotoElement(VANISHED_CGROUP + BigInt(index), 'app_1'));
    await nft().apply([REPLACE, { kind: 'add map elements', map: CGROUPS, elements }], NOW_MS);
    expect((await nft().observe(TABLE))?.maps.get(CGROUPS.name)).toBe(5_000);
  });

  it('Nft.apply() refuses cgroup elements as a whole, with the kernel’s errno', async () => {
    await nft().apply([REPLACE], NOW_MS);
    await expect(nft().apply([remove], NOW_MS)).rejects.toMatchObject({ name: 'KernelError', code: 'ENOENT' });
    const elements = [...CGROUPS.elements, gotoElement(VANISHED_CGROUP + 1n, 'nowhere')];
    const half: NftCommand = { kind: 'add map elements', map: CGROUPS, elements };
    await expect(nft().apply([half], NOW_MS)).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await nft().observe(TABLE))?.maps.get(CGROUPS.name)).toBe(0);
    await nft().apply([add], NOW_MS);
  });
}
