import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { account } from './unix-accounts.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pm-accounts-'));
  writeFileSync(join(directory, 'passwd'), 'root:x:0:0::/:/bin/sh\n\nbroken\n:x:9:\nalice:x:1000:\nalso:x:1000:\n');
});

afterAll(() => rmSync(directory, { recursive: true }));

describe('account', () => {
  it('account gives the first name of a number, and the number alone where it has none', () => {
    const of = (id: number): unknown => account('user', id, join(directory, 'passwd'));
    expect([of(0), of(1000), of(9), of(7)]).toEqual([
      { id: 0, name: 'root' },
      { id: 1000, name: 'alice' },
      { id: 9 },
      { id: 7 },
    ]);
    expect(account('group', 7, join(directory, 'nothing'))).toEqual({ id: 7 });
  });
});
