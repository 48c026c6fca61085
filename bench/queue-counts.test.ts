import { describe, expect, it } from 'vitest';
import { parseQueueCounts } from './queue-counts.ts';

/** As the kernel prints it, with two queues. */
const TABLE =
  '    0   5311     0 2  4096     0     0        0  1\n17700 -10045     3 2   256     4     5     6789  1\n';

describe('parseQueueCounts', () => {
  it('parseQueueCounts() gives what was queued and what was lost, of the queue that is asked for', () => {
    expect(parseQueueCounts(TABLE, 17_700)).toEqual({ packets: 6789, lost: 9 });
    expect(parseQueueCounts(TABLE, 0)).toEqual({ packets: 0, lost: 0 });
  });

  it('parseQueueCounts() of a queue that nobody has taken is undefined', () => {
    expect(parseQueueCounts(TABLE, 1)).toBeUndefined();
    expect(parseQueueCounts('', 0)).toBeUndefined();
    expect(parseQueueCounts('17700 1 2\n', 17_700)).toBeUndefined();
  });
});
