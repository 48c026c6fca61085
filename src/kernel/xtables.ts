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
const TOOLS: Readonly<Record<XtablesFamily, Tool>> = {
  ip: { name: 'iptables-nft', debianPackage: 'iptables' },
  ip6: { name: 'ip6tables-nft', debianPackage: 'iptables' },
};
const NFT: Tool = { name: 'nft', debianPackage: 'nftables' };

const RULE_COMMENT = 'pointsman';
const TABLE_COMMENT = 'made for pointsman';
/** `iptables -S` prints a rule as the arguments that make it. */
const OWN_RULE =
  /^-A OUTPUT -m mark --mark (0x[0-9a-f]+)(?:\/(0x[0-9a-f]+))? -m comment --comment pointsman -j NFQUEUE --queue-num (\d+)( --queue-bypass)?$/;
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

export const linuxXtables: Xtables = {
  observeQueue: async () => {
    const [v4, v6] = await Promise.all(FAMILIES.map(ownQueues));
    const [first] = v4 ?? [];
    const alone = v4?.length === 1 && v6?.length === 1;
    return first !== undefined && alone && JSON.stringify(v4) === JSON.stringify(v6) ? first : undefined;
  },
  queues: async () => {
    const [v4 = [], v6 = []] = await Promise.all(FAMILIES.map(ownQueues));
    return [...v4, ...v6.filter((queue) => !v4.some((other) => isDeepStrictEqual(other, queue)))];
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

async function ensureQueue(family: XtablesFamily, queue: XtablesQueue): Promise<void> {
  const own = await ownQueues(family);
  if (own.some((other) => isDeepStrictEqual(other, queue))) return;
  await createTableIfMissing(family);
  await iptables(family, ['-A', ...ruleArguments(queue)]);
}

async function deleteWhere(doomed: (queue: XtablesQueue) => boolean): Promise<void> {
  for (const family of FAMILIES) {
    for (const queue of (await ownQueues(family)).filter(doomed))
      await iptables(family, ['-D', ...ruleArguments(queue)]);
    await deleteTableIfOurs(family);
  }
}

const hex = (mark: number): string => `0x${mark.toString(16)}`;

function ruleArguments(queue: XtablesQueue): string[] {
  const mark = ['-m', 'mark', '--mark', `${hex(queue.mark)}/${hex(queue.mask)}`];
  const comment = ['-m', 'comment', '--comment', RULE_COMMENT];
  const target = ['-j', 'NFQUEUE', '--queue-num', `${queue.number}`, ...(queue.bypass ? ['--queue-bypass'] : [])];
  return ['OUTPUT', ...mark, ...comment, ...target];
}

async function ownQueues(family: XtablesFamily): Promise<XtablesQueue[]> {
  // Without the tool there is no way that a rule of ours came to be.
  if (!hasTool(TOOLS[family])) return [];
  const { stdout } = await iptables(family, ['-S', 'OUTPUT']);
  return stdout.split('\n').flatMap((line): XtablesQueue[] => {
    const match = OWN_RULE.exec(line.trim());
    if (match === null) return [];
    const [, mark, mask, number, bypass] = match;
    return [
      {
        number: Number(number),
        bypass: bypass !== undefined,
        mark: Number(mark),
        mask: mask === undefined ? FULL_MASK : Number(mask),
      },
    ];
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
  const batch = `create table ${family} mangle { comment "${TABLE_COMMENT}"; }\n`;
  const result = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (result.status === 0) return;
  const error = nftError(result.stderr, batch);
  if (!error.isExists) throw error;
}

async function deleteTableIfOurs(family: XtablesFamily): Promise<void> {
  const listing = await runTool(findTool(NFT), ['list', 'table', family, 'mangle']);
  if (listing.status !== 0 || !isOursAndEmpty(listing.stdout)) return;
  const batch = `delete table ${family} mangle\n`;
  const result = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (result.status !== 0) throw nftError(result.stderr, batch);
}

/** Exported for its test. */
export function isOursAndEmpty(listing: string): boolean {
  const lines = listing.split('\n').map((line) => line.trim());
  const comment = lines.indexOf(`comment "${TABLE_COMMENT}"`);
  const rest = lines.filter((_, index) => index !== comment);
  return comment >= 0 && rest.every((line) => EMPTY_TABLE_LINES.some((allowed) => allowed.test(line)));
}
