/**
 * A table that is there while the daemon checks itself: it counts the datagrams of each question behind everything else that could
 * still refuse or redirect them, and drops them, so that nothing leaves.
 */
import { CHECK_CLASS, CHECK_TABLE, PRIORITY_CHECK } from '../plan/reserved.ts';
import { KernelError } from './kernel-error.ts';
import { nftError } from './nft-error.ts';
import { findTool, runTool, type Tool } from './run-tool.ts';

const NFT: Tool = { name: 'nft', debianPackage: 'nftables' };
const RULE = /meta priority ([0-9a-f]+):([0-9a-f]+) counter packets (\d+) /g;

export interface CheckTable {
  /** Counts questions 1 to `questions`. Throws KernelError. */
  load(questions: number): Promise<void>;
  /** How many datagrams of each question came to the end; undefined where the table is gone. Throws KernelError. */
  counts(): Promise<ReadonlyMap<number, number> | undefined>;
  /** Whether it is there or not. Throws KernelError. */
  remove(): Promise<void>;
}

export const linuxCheckTable: CheckTable = {
  load: (questions) => run(renderCheckTable(questions)),
  counts: async () => {
    const { status, stdout, stderr } = await runTool(findTool(NFT), ['list', 'table', 'inet', CHECK_TABLE]);
    if (status === 0) return parseCheckCounts(stdout);
    const error = nftError(stderr, '');
    if (error.isNotFound) return undefined;
    throw error;
  },
  remove: () => run(REMOVAL),
};

const REMOVAL = `add table inet ${CHECK_TABLE}\ndelete table inet ${CHECK_TABLE}\n`;

async function run(batch: string): Promise<void> {
  const { status, stderr } = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (status !== 0) throw nftError(stderr, batch);
}

/** Exported for its test. */
export function renderCheckTable(questions: number): string {
  const rules = Array.from({ length: questions }, (_, i) => `    ${match(i + 1)} counter drop\n`);
  const frame = `type filter hook postrouting priority ${PRIORITY_CHECK}; policy accept;`;
  return `${REMOVAL}table inet ${CHECK_TABLE} {\n  chain end {\n    ${frame}\n${rules.join('')}  }\n}\n`;
}

const match = (question: number): string => `meta priority ${CHECK_CLASS.toString(16)}:${question.toString(16)}`;

/** From nft's listing of the table, by the number of the question. Throws KernelError. */
export function parseCheckCounts(listing: string): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const [, major = '', minor = '', packets = ''] of listing.matchAll(RULE))
    if (Number.parseInt(major, 16) === CHECK_CLASS) counts.set(Number.parseInt(minor, 16), Number(packets));
  if (counts.size === 0)
    throw new KernelError('nft', 0, '', `list table ${CHECK_TABLE}`, 'its listing has no counters');
  return counts;
}
