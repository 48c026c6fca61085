import { describe, expect, it } from 'vitest';
import { parseCheckCounts, renderCheckTable } from './check-table.ts';

describe('renderCheckTable', () => {
  it('renderCheckTable has a counter for each question, behind everything else', () => {
    const text = renderCheckTable(11);
    expect(text).toContain('type filter hook postrouting priority 303; policy accept;');
    expect(text.match(/meta priority 706d:[0-9a-f]+ counter drop/g)).toHaveLength(11);
    expect(text).toContain('meta priority 706d:b counter drop');
    // What waits in a packet queue would go with it.
    expect(text).not.toContain('delete');
  });
});

describe('parseCheckCounts', () => {
  it('parseCheckCounts reads packets by the number of the question', () => {
    const listing = `table inet pointsman_check {
\tchain end {
\t\ttype filter hook postrouting priority 303; policy accept;
\t\tmeta priority 706d:1 counter packets 2 bytes 58 drop
\t\tmeta priority 706d:b counter packets 0 bytes 0 drop
\t}
}`;
    expect([...parseCheckCounts(listing)]).toEqual([
      [1, 2],
      [11, 0],
    ]);
  });

  it('parseCheckCounts refuses a listing without counters', () => {
    expect(() => parseCheckCounts('table inet pointsman_check {\n}')).toThrow('no counters');
  });
});
