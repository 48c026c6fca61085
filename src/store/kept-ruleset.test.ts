import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE } from '../../test/contract/sample-ruleset.ts';
import { KeptRuleset } from './kept-ruleset.ts';

let runDir: string;
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'kept-'));
});
afterEach(() => rmSync(runDir, { recursive: true }));

const next = (version = '1'): KeptRuleset => new KeptRuleset({ runDir }, version);

describe('KeptRuleset', () => {
  it('read() has what was kept last, for the same version alone', () => {
    const kept = next();
    expect(kept.read()).toBeUndefined();
    kept.keep({ ...SAMPLE, table: 'before' });
    kept.keep(SAMPLE);
    expect(next().read()).toEqual(SAMPLE);
    expect(next('2').read()).toBeUndefined();
  });

  it('readPrint() has how the table looked with that ruleset in it, and with no other', () => {
    const kept = next();
    expect(kept.readPrint(SAMPLE)).toBeUndefined();
    kept.keepPrint(SAMPLE, 'print');
    expect(next().readPrint(SAMPLE)).toBe('print');
    expect(next().readPrint({ ...SAMPLE, table: 'other' })).toBeUndefined();
  });

  it('read() has nothing of what is damaged, or no ruleset', () => {
    next().keep({ table: 'x' } as typeof SAMPLE);
    expect(next().read()).toBeUndefined();
    writeFileSync(join(runDir, 'ruleset-in-force'), 'x');
    expect(next().read()).toBeUndefined();
  });

  it('keep() goes on where nothing can be written', () => {
    rmSync(runDir, { recursive: true });
    writeFileSync(runDir, '');
    next().keep(SAMPLE);
    expect(next().read()).toBeUndefined();
  });
});
