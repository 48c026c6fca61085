/** What the kernel counts of a packet queue: no matter what the program behind it says. */
import type { Client } from './bench-world.ts';
import { runProgram } from './programs.ts';

/** Since the program took the queue. */
export interface QueueCounts {
  /** Packets that were given to it. */
  readonly packets: number;
  /** Packets that were dropped because the queue was full, or the program's socket was. */
  readonly lost: number;
}

const TABLE = '/proc/net/netfilter/nfnetlink_queue';

/** Of the queue in the client's network namespace. Rejects where no program has taken it. */
export async function queueCounts(client: Client, queue: number): Promise<QueueCounts> {
  const { stdout, stderr } = await runProgram(client.inside(['cat', TABLE]));
  const counts = parseQueueCounts(stdout, queue);
  if (counts === undefined) throw new Error(`nobody answers queue ${queue} of ${client.name}: ${stderr.trim()}`);
  return counts;
}

/**
 * A line has queue, port of the program, length, copy mode, copy range, dropped since it was full, dropped on the way to the
 * program, id of the last packet, 1 (net/netfilter/nfnetlink_queue.c, seq_show). `undefined`: no such queue.
 */
export function parseQueueCounts(table: string, queue: number): QueueCounts | undefined {
  for (const line of table.split('\n')) {
    const [number, , , , , full, onTheWay, lastId] = line.trim().split(/\s+/).map(Number);
    if (number !== queue || full === undefined || onTheWay === undefined || lastId === undefined) continue;
    return { packets: lastId, lost: full + onTheWay };
  }
  return undefined;
}

export async function countQueued<T>(
  client: Client,
  queue: number,
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly queued: QueueCounts }> {
  const before = await queueCounts(client, queue);
  const result = await run();
  const after = await queueCounts(client, queue);
  return { result, queued: { packets: after.packets - before.packets, lost: after.lost - before.lost } };
}
