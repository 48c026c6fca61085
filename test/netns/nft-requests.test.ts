/** What goes to nf_tables by netlink is what nft(8) makes of the same commands: its own listing is the judge. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nftRequests } from '../../src/kernel/nft-requests.ts';
import type { NftCommand } from '../../src/plan/nft/command.ts';
import { accept, drop, goto, inSet, is, isNot, rule, setBits } from '../../src/plan/nft/expressions.ts';
import { renderCommands } from '../../src/plan/nft/render.ts';
import type { Expression, MapElement, NftMap, NftSet } from '../../src/plan/nft/ruleset.ts';
import { MARK_WAY, TABLE, wayMark } from '../../src/plan/reserved.ts';
import { type NamespaceWorld, openNamespaceWorld } from '../contract/namespace-world.ts';
import { chain, element, gotoElement, rulesetOf } from '../contract/sample-ruleset.ts';

const NOW_MS = Date.now();
const V4 = 0xc0000201n;
const V6 = 0x20010db8_00000000_00000000_00000001n;
const LAST4 = 2n ** 32n - 1n;
const LAST6 = 2n ** 128n - 1n;

const set = (name: string, key: NftSet['key'][number], ...intervals: readonly [bigint, bigint][]): NftSet => ({
  name,
  key: [key],
  flags: ['interval'],
  elements: intervals.map((interval) => element(interval)),
});
const LOCAL4 = set('local4', 'ipv4_addr', [V4, V4 + 254n]);
const LOCAL6 = set('local6', 'ipv6_addr', [V6, V6]);
const ways = (...elements: readonly MapElement[]): NftMap => ({ name: 'ways', key: 'mark', data: 'verdict', elements });
const numbers: NftMap = { name: 'numbers', key: 'mark', data: 'mark', elements: [] };
const BEFORE = rulesetOf({
  chains: [
    chain('first', rule(accept)),
    chain('second', rule(goto('first'))),
    { ...chain('source'), hook: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' } },
  ],
  sets: [LOCAL4, LOCAL6],
  maps: [ways(gotoElement(BigInt(wayMark(1)), 'first')), numbers],
});

const appended = (...expressions: readonly Expression[]): NftCommand[] => [
  { kind: 'add rule', chain: 'second', rule: rule(...expressions) },
];

const COMMANDS: Readonly<Record<string, readonly NftCommand[]>> = {
  'a chain with other rules': [
    { kind: 'flush chain', chain: 'second' },
    { kind: 'add rule', chain: 'second', rule: rule(inSet('local4', { kind: 'ip daddr' }), goto('first')) },
    { kind: 'add rule', chain: 'second', rule: rule(inSet('local6', { kind: 'ip6 daddr' }), accept) },
    { kind: 'add rule', chain: 'second', rule: rule(is({ kind: 'meta nfproto' }, 'ipv4'), goto('first')) },
    { kind: 'add rule', chain: 'second', rule: rule(goto('first')) },
  ],
  'an IPv6 packet': appended(is({ kind: 'meta nfproto' }, 'ipv6'), accept),
  'a source that is not in a set': appended(
    { kind: 'lookup', fields: [{ kind: 'ip saddr' }], set: 'local4', negate: true },
    accept,
  ),
  'an IPv6 source': appended(is({ kind: 'ip6 saddr' }, V6), accept),
  'another IPv4 source': appended(isNot({ kind: 'ip saddr' }, V4), accept),
  'bits of a mark': appended(setBits('meta mark', MARK_WAY, wayMark(5)), accept),
  'a device, counted': appended(isNot({ kind: 'meta oifname' }, 'wifi0'), { kind: 'counter' }, drop),
  'the very device': appended(is({ kind: 'meta oifname' }, 'a-name-of-15-ch'), drop),
  masquerade: [
    {
      kind: 'add rule',
      chain: 'source',
      rule: rule(isNot({ kind: 'ip6 saddr' }, V6), { kind: 'masquerade' }),
    },
  ],
  verdicts: [
    ...appended({ kind: 'verdict', verdict: { kind: 'jump', chain: 'first' } }),
    ...appended({ kind: 'verdict', verdict: { kind: 'return' } }),
    ...appended({ kind: 'verdict', verdict: { kind: 'drop' } }),
  ],
  'other intervals': [
    { kind: 'delete elements', set: LOCAL4, elements: LOCAL4.elements },
    { kind: 'add elements', set: LOCAL4, elements: [element([V4, V4 + 5n]), element([V4 + 6n, V4 + 6n])] },
    { kind: 'add elements', set: LOCAL4, elements: [element([0n, 0n]), element([LAST4 - 1n, LAST4])] },
    { kind: 'add elements', set: LOCAL6, elements: [element([V6 + 16n, V6 + 31n]), element([LAST6, LAST6])] },
  ],
  'the end of an interval at the last address': [
    { kind: 'add elements', set: LOCAL4, elements: [element([LAST4 - 9n, LAST4])] },
    { kind: 'delete elements', set: LOCAL4, elements: [element([LAST4 - 9n, LAST4])] },
    { kind: 'add elements', set: LOCAL4, elements: [element([LAST4 - 4n, LAST4])] },
  ],
  'elements of maps': [
    { kind: 'delete map elements', map: ways(), elements: [gotoElement(BigInt(wayMark(1)), 'first')] },
    {
      kind: 'add map elements',
      map: ways(),
      elements: [
        gotoElement(BigInt(wayMark(1)), 'second'),
        { key: BigInt(wayMark(2)), data: { kind: 'verdict', verdict: { kind: 'accept' } } },
      ],
    },
    { kind: 'add map elements', map: numbers, elements: [{ key: 7n, data: { kind: 'mark', mark: 0x80000001 } }] },
  ],
};

let world: NamespaceWorld;

beforeAll(async () => {
  world = await openNamespaceWorld();
});

afterAll(async () => {
  await world?.close();
});

const nft = (args: readonly string[], input = ''): string => execFileSync('nft', args, { input, encoding: 'utf8' });
/** Elements of hashes stand in no order. */
const listing = (): string[] =>
  nft(['-n', 'list', 'table', 'inet', TABLE])
    .split(/[\n,]/)
    .map((line) => line.replace(/elements = \{|\}/, '').trim())
    .sort();

/** The whole of it from before, and the commands on top. */
async function listed(commands: readonly NftCommand[], by: 'netlink' | 'nft'): Promise<string[]> {
  await world.kernel.nft.apply([{ kind: 'replace table', ruleset: BEFORE }], NOW_MS);
  if (by === 'netlink') await world.kernel.nft.apply(commands, NOW_MS);
  else nft(['-f', '-'], renderCommands(commands, NOW_MS));
  return listing();
}

describe('nftRequests', () => {
  it.each(Object.entries(COMMANDS))('spells %s as nft does', async (_, commands) => {
    expect(nftRequests(commands)).toBeDefined();
    const asNft = await listed(commands, 'nft');
    expect(await listed(commands, 'netlink')).toEqual(asNft);
    expect(asNft).not.toEqual(await listed([], 'nft'));
  });

  it('spells none of several addresses as one comparison after the other', async () => {
    const commands = appended(isNot({ kind: 'ip6 saddr' }, V6, V6 + 1n), accept);
    expect((await listed(commands, 'netlink')).join('\n')).toContain(
      'ip6 saddr != 2001:db8::1 ip6 saddr != 2001:db8::2 accept',
    );
  });

  it('leaves to nft what it does not know', () => {
    const unknown: readonly NftCommand[][] = [
      [{ kind: 'add chain', chain: chain('third') }],
      appended(is({ kind: 'ip saddr' }, V4, V4 + 1n), accept),
      appended(is({ kind: 'meta l4proto' }, 6), accept),
      appended({ kind: 'reject', with: 'tcp reset' }),
      appended(setBits('ct mark', MARK_WAY, wayMark(5))),
      appended(setBits('meta mark', 0xffffffff, 0x12345678)),
    ];
    for (const commands of unknown) expect(nftRequests([...(COMMANDS.verdicts ?? []), ...commands])).toBeUndefined();
  });
});
