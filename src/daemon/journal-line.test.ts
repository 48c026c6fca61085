import { describe, expect, it } from 'vitest';
import { journalLine } from './journal-line.ts';

describe('journalLine', () => {
  it('journalLine makes one line of whatever it is given, in which nothing acts on a terminal', () => {
    const line = journalLine('pointsman: process a\npointsman: all is well\u001b[2J\u009b1A\r changed what is ours\n');
    expect(line).toBe('pointsman: process a pointsman: all is well\ufffd[2J\ufffd1A\ufffd changed what is ours');
  });
});
