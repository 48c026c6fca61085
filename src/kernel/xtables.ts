/**
 * NFQUEUE rules by iptables-nft and ip6tables-nft, for kernels without nft's own `queue`. A table that we had to make
 * carries a comment, so that it can be told from one that was there before, also after a crash.
 */
import { isDeepStrictEqual } from 'node:util';
import type { XtablesQueue } from '../plan/plan.ts';
import type { Xtables } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import { nftError } from './nft-error.ts';
import { findTool, hasTool, runTool, type Tool, type ToolResult } from './run-tool.ts';

type XtablesFamily = 'ip' | 'ip6';

const FAMILIES: readonly XtablesFamily[] = ['ip', 'ip6'];
/** As iptables(8) makes its built-in chains. */
const BASE_CHAINS = {
  OUTPUT: 'type route hook output priority mangle; policy accept;',
  INPUT: 'type filter hook input priority mangle; policy accept;',
} as const;
type XtablesChain = keyof typeof BASE_CHAINS;
const CHAINS = Object.keys(BASE_CHAINS) as XtablesChain[];
const TOOLS: Readonly<Record<XtablesFamily, Tool>> = {
  ip: { name: 'iptables-nft', debianPackage: 'iptables' },
  ip6: { name: 'ip6tables-nft', debianPackage: 'iptables' },
};
const NFT: Tool = { name: 'nft', debianPackage: 'nftables' };

const RULE_COMMENT = 'pointsman';
/** Of tables and chains. */
const OWN_COMMENT = 'made for pointsman';
/** `iptables -S` prints a rule as the arguments that make it. */
const OWN_RULE =
  /^-A (OUTPUT|INPUT) -m mark --mark (0x[0-9a-f]+)(?:\/(0x[0-9a-f]+))? -m comment --comment pointsman -j NFQUEUE --queue-num (\d+)( --queue-bypass)?$/;
const FULL_MASK = 0xffffffff;
/** What an empty table may hold: its own frame, and base chains that accept. */
const EMPTY_TABLE_LINES = [
  /^#/,
  /^table ip6? mangle \{$/,
  /^chain [A-Z]+ \{$/,
  /^type \w+ hook \w+ priority [^;]+; policy accept;$/,
  /^\}$/,
  /^$/,
];

/** A queue's rule in one chain of one family. */
interface OwnRule {
  readonly family: XtablesFamily;
  readonly chain: XtablesChain;
  readonly queue: XtablesQueue;
}

export const linuxXtables: Xtables = {
  observeQueue: async () => {
    const own = await ownRules();
    const [first] = own;
    const isWhole = own.length === FAMILIES.length * CHAINS.length;
    return first !== undefined && isWhole && own.every(({ queue }) => isDeepStrictEqual(queue, first.queue))
      ? first.queue
      : undefined;
  },
  queues: async () => {
    const distinct: XtablesQueue[] = [];
    for (const { queue } of await ownRules()) {
      if (!distinct.some((other) => isDeepStrictEqual(other, queue))) distinct.push(queue);
    }
    return distinct;
  },
  addQueue: async (queue) => {
    try {
      for (const family of FAMILIES) await ensureQueue(family, queue);
    } catch (error) {
      await deleteWhere((own) => isDeepStrictEqual(own, queue));
      throw error;
    }
  },
  deleteQueue: (queue) => deleteWhere((own) => isDeepStrictEqual(own, queue)),
  deleteQueues: () => deleteWhere(() => true),
};

const ownRules = async (): Promise<OwnRule[]> => (await Promise.all(FAMILIES.map(ownRulesOf))).flat();

async function ensureQueue(family: XtablesFamily, queue: XtablesQueue): Promise<void> {
  const own = await ownRulesOf(family);
  const missing = CHAINS.filter(
    (chain) => !own.some((other) => other.chain === chain && isDeepStrictEqual(other.queue, queue)),
  );
  if (missing.length > 0) await createTableIfMissing(family);
  for (const chain of missing) {
    await createChainIfMissing(family, chain);
    await iptables(family, ['-A', chain, ...ruleArguments(queue)]);
  }
}

async function deleteWhere(doomed: (queue: XtablesQueue) => boolean): Promise<void> {
  for (const family of FAMILIES) {
    for (const { chain, queue } of (await ownRulesOf(family)).filter((own) => doomed(own.queue)))
      await iptables(family, ['-D', chain, ...ruleArguments(queue)]);
    for (const chain of CHAINS) await deleteChainIfOurs(family, chain);
    await deleteTableIfOurs(family);
  }
}

const hex = (mark: number): string => `0x${mark.toString(16)}`;

function ruleArguments(queue: XtablesQueue): string[] {
  const mark = ['-m', 'mark', '--mark', `${hex(queue.mark)}/${hex(queue.mask)}`];
  const comment = ['-m', 'comment', '--comment', RULE_COMMENT];
  const target = ['-j', 'NFQUEUE', '--queue-num', `${queue.number}`, ...(queue.bypass ? ['--queue-bypass'] : [])];
  return [...mark, ...comment, ...target];
}

async function ownRulesOf(family: XtablesFamily): Promise<OwnRule[]> {
  // Without the tool there is no way that a rule of ours came to be.
  if (!hasTool(TOOLS[family])) return [];
  const { stdout } = await iptables(family, ['-S']);
  return stdout.split('\n').flatMap((line): OwnRule[] => {
    const match = OWN_RULE.exec(line.trim());
    if (match === null) return [];
    const [, chain, mark, mask, number, bypass] = match;
    const queue = {
      number: Number(number),
      bypass: bypass !== undefined,
      mark: Number(mark),
      mask: mask === undefined ? FULL_MASK : Number(mask),
    };
    return [{ family, chain: chain === 'INPUT' ? 'INPUT' : 'OUTPUT', queue }];
  });
}

async function iptables(family: XtablesFamily, args: readonly string[]): Promise<ToolResult> {
  const path = findTool(TOOLS[family]);
  const result = await runTool(path, ['-w', '-t', 'mangle', ...args]);
  if (result.status === 0) return result;
  const text = result.stderr.trim() || 'failed without a message';
  const denied = text.includes('Permission denied') || text.includes('you must be root');
  throw new KernelError(TOOLS[family].name, denied ? 1 : 0, denied ? 'EPERM' : '', args.join(' '), text);
}

async function createTableIfMissing(family: XtablesFamily): Promise<void> {
  await create(`create table ${family} mangle { comment "${OWN_COMMENT}"; }\n`);
}

/** iptables-nft would make it, too, but nobody could tell it from one that was there. */
async function createChainIfMissing(family: XtablesFamily, chain: XtablesChain): Promise<void> {
  await create(`create chain ${family} mangle ${chain} { ${BASE_CHAINS[chain]} comment "${OWN_COMMENT}"; }\n`);
}

async function create(batch: string): Promise<void> {
  const result = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (result.status === 0) return;
  const error = nftError(result.stderr, batch);
  if (!error.isExists) throw error;
}

/** An empty one that was made for us, in a table that was not. */
async function deleteChainIfOurs(family: XtablesFamily, chain: XtablesChain): Promise<void> {
  const listing = await runTool(findTool(NFT), ['list', 'chain', family, 'mangle', chain]);
  if (listing.status !== 0 || !isOursAndEmpty(listing.stdout)) return;
  const batch = `delete chain ${family} mangle ${chain}\n`;
  const result = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (result.status !== 0) throw nftError(result.stderr, batch);
}

async function deleteTableIfOurs(family: XtablesFamily): Promise<void> {
  const listing = await runTool(findTool(NFT), ['list', 'table', family, 'mangle']);
  if (listing.status !== 0 || !isOursAndEmpty(listing.stdout)) return;
  const batch = `delete table ${family} mangle\n`;
  const result = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (result.status !== 0) throw nftError(result.stderr, batch);
}

/** Of a table, or of a chain in one. Exported for its test. */
export function isOursAndEmpty(listing: string): boolean {
  const lines = listing.split('\n').map((line) => line.trim());
  const isComment = (line: string): boolean => line === `comment "${OWN_COMMENT}"`;
  const rest = lines.filter((line) => !isComment(line));
  return rest.length < lines.length && rest.every((line) => EMPTY_TABLE_LINES.some((allowed) => allowed.test(line)));
}
