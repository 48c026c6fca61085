import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FailurePlan } from '../kernel/fake/failure-plan.ts';
import { FakeNft } from '../kernel/fake/fake-nft.ts';
import type { Change } from './change.ts';
import { diff } from './diff.ts';
import type { Chain, MapElement, NftMap, NftSet, Rule, Ruleset } from './nft/ruleset.ts';
import type { Plan } from './plan.ts';

const chainNames = ['a', 'b', 'c', 'd'];
const accept = { kind: 'verdict', verdict: { kind: 'accept' } } as const;

const ruleset: fc.Arbitrary<Ruleset> = fc
  .record({
    names: fc.subarray(chainNames, { minLength: 1 }),
    rules: fc.array(fc.nat(3), { maxLength: 3 }),
    cgroups: fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
    users: fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
    addresses: fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
    timed: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
    shared: fc.boolean(),
    kinds: fc.subarray(['rules_of_user', 'rules_of_cgroup1']),
  })
  .map(({ names, rules, cgroups, users, addresses, timed, shared, kinds }) => {
    const chain = (name: string, i: number): Chain => ({
      name,
      rules: rules.map((n) => ({
        expressions: [{ kind: 'compare', field: { kind: 'meta skuid' }, values: [n + i] }, accept],
      })),
    });
    const element = (n: number): MapElement => ({
      key: BigInt(n),
      data: { kind: 'verdict', verdict: { kind: 'goto', chain: names[n % names.length] ?? 'a' } },
    });
    const every: NftMap[] = [
      { name: 'rules_of_user', key: 'uid', data: 'verdict', elements: users.map(element) },
      { name: 'rules_of_cgroup1', key: 'cgroupsv2', level: 1, data: 'verdict', elements: cgroups.map(element) },
    ];
    const maps = every.filter(({ name }) => kinds.includes(name));
    const one = (n: number) => [{ first: BigInt(n), last: BigInt(n) }];
    const sets: NftSet[] = [
      {
        name: shared ? 'addresses' : 'other',
        key: ['ipv4_addr'],
        flags: [],
        elements: addresses.map((n) => ({ key: one(n) })),
      },
      {
        name: 'names',
        key: ['ipv4_addr'],
        flags: ['timeout'],
        elements: timed.map((n) => ({ key: one(n), expiresAtMs: 1000 + n })),
      },
    ];
    const identify: Chain = {
      name: 'identify',
      rules: [
        ...sets.map(
          ({ name }): Rule => ({
            expressions: [{ kind: 'lookup', fields: [{ kind: 'ip daddr' }], set: name }, accept],
          }),
        ),
        ...maps.map(
          ({ name }): Rule => ({ expressions: [{ kind: 'vmap', field: { kind: 'meta skuid' }, map: name }] }),
        ),
        { expressions: [{ kind: 'verdict', verdict: { kind: 'goto', chain: names[0] ?? 'a' } }] },
      ],
    };
    const named = <T extends { name: string }>(items: T[]) => new Map(items.map((item) => [item.name, item]));
    return { table: 'pointsman', sets: named(sets), maps: named(maps), chains: named([...names.map(chain), identify]) };
  });

const canonical = ({ sets, maps, chains }: Ruleset) =>
  JSON.stringify(
    [
      [...sets.values()]
        .map(({ name, elements }) => [
          name,
          elements
            .map((e) => [e.key, e.expiresAtMs])
            .toSorted((a, b) => (JSON.stringify(a, text) < JSON.stringify(b, text) ? -1 : 1)),
        ])
        .toSorted(),
      [...maps.values()]
        .map(({ name, elements }) => [name, elements.toSorted((a, b) => Number(a.key - b.key))])
        .toSorted(),
      [...chains.values()].map(({ name, rules }) => [name, rules]).toSorted(),
    ],
    text,
  );
const text = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

const ASK: Chain = { name: 'ask', rules: [] };
const plan = (nft: Ruleset): Plan => ({
  nft: { ...nft, chains: new Map([...nft.chains, [ASK.name, ASK]]) },
  rules: [],
  routes: [],
  socketWays: new Map(),
});

/** Runs the changes on a table that refuses what the kernel refuses; what it held after each of them. */
async function run(nft: FakeNft, changes: readonly Change[]): Promise<Ruleset[]> {
  const held: Ruleset[] = [];
  for (const change of changes) {
    if (change.kind !== 'nft') throw new Error(change.kind);
    await nft.apply(change.commands, 0);
    const now = nft.ruleset('pointsman');
    if (now !== undefined) held.push(now);
  }
  return held;
}

const empty = { rules: [], routes: [], socketWays: new Map() };
const fakeNft = () => new FakeNft({ failures: new FailurePlan(), hasQueue: true, nowMs: () => 0 });

describe('diff()', () => {
  it('leads from nothing to any ruleset and on to any other', async () => {
    await fc.assert(
      fc.asyncProperty(ruleset, ruleset, async (first, second) => {
        const nft = fakeNft();
        const before = plan(first);
        const after = plan(second);
        const loaded = await run(nft, diff(empty, before));
        expect(canonical(loaded.at(-1) ?? before.nft)).toBe(canonical(before.nft));
        const changed = await run(nft, diff({ ...empty, nft: before.nft }, after));
        expect(canonical(changed.at(-1) ?? before.nft)).toBe(canonical(after.nft));
      }),
      { numRuns: 500 },
    );
  });

  it('holds whoever is not found until the elements of cgroup maps are in', async () => {
    await fc.assert(
      fc.asyncProperty(ruleset, async (wanted) => {
        const steps = await run(fakeNft(), diff(empty, plan(wanted)));
        const told = wanted.maps.get('rules_of_cgroup1')?.elements.length ?? 0;
        expect(steps).toHaveLength(told === 0 ? 1 : 3);
        for (const step of steps.slice(0, -1)) {
          expect(step.chains.get('identify')?.rules).toEqual([
            { expressions: [{ kind: 'verdict', verdict: { kind: 'goto', chain: ASK.name } }] },
          ]);
        }
      }),
    );
  });

  it('removes a chain at a device whether or not the kernel has removed it with the device', async () => {
    const hook = { type: 'filter', hook: 'ingress', priority: 0, policy: 'accept', devices: ['veth1'] } as const;
    const without: Ruleset = { table: 'pointsman', sets: new Map(), maps: new Map(), chains: new Map() };
    const first = { expressions: [accept] };
    const ingress = new Map<string, Chain>([['ingress', { name: 'ingress', hook, rules: [first] }]]);
    const before = plan({ ...without, chains: ingress });
    for (const isThere of [true, false]) {
      const nft = fakeNft();
      await run(nft, diff(empty, isThere ? before : plan(without)));
      const held = await run(nft, diff({ ...empty, nft: before.nft }, plan(without)));
      expect([...(held.at(-1)?.chains.keys() ?? [])]).toEqual([ASK.name]);
    }
  });

  it('is empty where nothing changed', () => {
    fc.assert(
      fc.property(ruleset, (same) => {
        expect(diff({ ...empty, nft: plan(same).nft }, plan(structuredClone(same)))).toEqual([]);
      }),
    );
  });
});
