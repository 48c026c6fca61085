import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Results, type Row, renderTable } from './table.ts';

const RESULTS = join(import.meta.dirname, '../results');
const PAGE = join(import.meta.dirname, '../../../docs/attribution.md');

const row = (name: string, verdict: Row['verdict'], note = ''): Row => ({
  name,
  what: `how ${name} sends`,
  sent: '1 packet',
  expected: name,
  verdict,
  note,
});

describe('renderTable()', () => {
  it('renderTable() puts what each kernel said of a scenario into one line', () => {
    const here: Results = {
      machine: 'here',
      kernel: '1',
      rows: [row('a', 'PASS'), row('b', 'FAIL', 'x|y')],
      leaks: [],
    };
    const there: Results = { machine: 'there', kernel: '2', rows: [row('b', 'PARTIAL'), row('c', 'PASS')], leaks: [] };
    const page = renderTable([here, there]);
    expect(page).toContain('| how a sends | 1 packet | a | PASS |  |\n');
    expect(page).toContain('| how b sends | 1 packet | b | FAIL: x\\|y | PARTIAL |\n');
    expect(page).toContain('| how c sends | 1 packet | c |  | PASS |\n');
    expect(page).toContain('| here, `1` | 1 | 0 | 1 | 0 | 0 | 0 |\n');
    expect(page).not.toContain('| daemon dead |');
    expect(page).not.toContain('## Leaks');
  });

  it('renderTable() puts what became of it without the daemon beside it', () => {
    const rows: Row[] = [{ ...row('a', 'PASS'), dead: { verdict: 'REFUSED', note: '' } }, row('b', 'PASS')];
    const there: Results = { machine: 'there', kernel: '2', rows: [row('a', 'PASS')], leaks: [] };
    const page = renderTable([{ machine: 'here', kernel: '1', rows, leaks: [] }, there]);
    expect(page).toContain('| what | sends | should be | here | daemon dead | there |\n');
    expect(page).toContain('| how a sends | 1 packet | a | PASS | REFUSED | PASS |\n');
    expect(page).toContain('| how b sends | 1 packet | b | PASS |  |  |\n');
    expect(page).toContain('| here, daemon dead | 0 | 0 | 0 | 0 | 0 | 1 |\n');
    expect(page).not.toContain('| there, daemon dead |');
  });

  it('renderTable() says which leaks were allowed to be', () => {
    const leak = { what: 'exec', tiers: 'slow path', starts: 100, leaked: 3, isPromised: false };
    expect(renderTable([{ machine: 'here', kernel: '1', rows: [], leaks: [leak] }])).toContain(
      '| here | exec | slow path | 100 | 3 | not promised |\n',
    );
  });

  it('renderTable() makes docs/attribution.md of the kept results', async () => {
    const files = readdirSync(RESULTS).sort();
    const kept = files.map((file) => JSON.parse(readFileSync(join(RESULTS, file), 'utf8')) as Results);
    await expect(renderTable(kept)).toMatchFileSnapshot(PAGE);
  });
});
