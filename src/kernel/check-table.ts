/**
 * A table that counts the datagrams of each question while the daemon checks itself, behind everything else that could still refuse or
 * redirect them, and drops them, so that nothing leaves. From the first check on it stays, without rules, until nothing of ours is to be
 * left: a base chain that goes takes with it whatever waits in a packet queue.
 */
import { CHECK_CLASS, CHECK_TABLE, PRIORITY_CHECK } from '../plan/reserved.ts';
import { KernelError } from './kernel-error.ts';
import { nftError } from './nft-error.ts';
import { findTool, runTool, type Tool } from './run-tool.ts';

const NFT: Tool = { name: 'nft', debianPackage: 'nftables' };
const CHAIN = `inet ${CHECK_TABLE} end`;
const RULE = /meta priority ([0-9a-f]+):([0-9a-f]+) counter packets (\d+) /g;

export interface CheckTable {
  /** Counts questions 1 to `questions`. Throws KernelError. */
  load(questions: number): Promise<void>;
  /** How many datagrams of each question came to the end; undefined where the table is gone. Throws KernelError. */
  counts(): Promise<ReadonlyMap<number, number> | undefined>;
  /** Nothing is counted, nor dropped, any more. Throws KernelError. */
  empty(): Promise<void>;
}

export const linuxCheckTable: CheckTable = {
  load: fill,
  counts: async () => {
    const { status, stdout, stderr } = await runTool(findTool(NFT), ['list', 'table', 'inet', CHECK_TABLE]);
    if (status === 0) return parseCheckCounts(stdout);
    const error = nftError(stderr, '');
    if (error.isNotFound) return undefined;
    throw error;
  },
  empty: async () => {
    try {
      await run(`flush chain ${CHAIN}\n`);
    } catch (error) {
      // Where it has gone there is nothing to empty.
      if (!(error instanceof KernelError && error.isNotFound)) throw error;
    }
  },
};

const REMOVAL = `add table inet ${CHECK_TABLE}\ndelete table inet ${CHECK_TABLE}\n`;

async function fill(questions: number): Promise<void> {
  const batch = renderCheckTable(questions);
  try {
    await run(batch);
  } catch (error) {
    if (!(error instanceof KernelError && error.isExists)) throw error;
    // Somebody's chain of that name, on another hook.
    await run(REMOVAL + batch);
  }
}

async function run(batch: string): Promise<void> {
  const { status, stderr } = await runTool(findTool(NFT), ['-f', '-'], batch);
  if (status !== 0) throw nftError(stderr, batch);
}

/** Exported for its test. */
export function renderCheckTable(questions: number): string {
  const rules = Array.from({ length: questions }, (_, i) => `add rule ${CHAIN} ${match(i + 1)} counter drop\n`);
  const frame = `type filter hook postrouting priority ${PRIORITY_CHECK}; policy accept;`;
  return `add table inet ${CHECK_TABLE}\nadd chain ${CHAIN} { ${frame} }\nflush chain ${CHAIN}\n${rules.join('')}`;
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
