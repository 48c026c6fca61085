import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labFiles } from './lab-state.ts';
import { changeCondition, describeCondition, readConditions, writeConditions } from './link-condition.ts';

const LOSSY = { lossPercent: 30, lossBy: 'nft' } as const;

describe('changeCondition', () => {
  it('changeCondition() keeps what stands beside the changed value, except what it was done by', () => {
    const lossy = changeCondition({ down: true, delayMs: 40 }, { kind: 'loss', lossPercent: 30 });
    expect(lossy).toEqual({ down: true, delayMs: 40, lossPercent: 30 });
    expect(changeCondition(LOSSY, { kind: 'rate', rateBitsPerSecond: 8000 })).toEqual({
      lossPercent: 30,
      rateBitsPerSecond: 8000,
    });
  });

  it('changeCondition() takes "up" for the end of "down" alone, and "clear" for the end of everything', () => {
    expect(changeCondition({ ...LOSSY, down: true }, { kind: 'up' })).toEqual({ lossPercent: 30 });
    expect(changeCondition({ ...LOSSY, down: true }, { kind: 'clear' })).toEqual({});
  });

  it.each(['up', 'down', 'clear'] as const)('changeCondition() makes the same of "%s" twice as of it once', (kind) => {
    const once = changeCondition({ lossPercent: 30, delayMs: 1 }, { kind });
    expect(changeCondition(once, { kind })).toEqual(once);
  });
});

describe('describeCondition', () => {
  it.each([
    [{}, ''],
    [{ down: true }, 'down'],
    [LOSSY, 'loss 30% (by nft)'],
    [{ delayMs: 200, rateBitsPerSecond: 2_000_000 }, 'delay 200 ms, rate 2 Mbit/s'],
    [{ rateBitsPerSecond: 512_500 }, 'rate 512.5 kbit/s'],
  ] as const)('describeCondition() says of %j "%s"', (condition, text) => {
    expect(describeCondition(condition)).toBe(text);
  });
});

describe('readConditions', () => {
  let stateDir = '';

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'pointsman-links-'));
  });

  afterEach(() => rmSync(stateDir, { recursive: true }));

  it('readConditions() gives back what was written', async () => {
    const conditions = { wifi: { down: true }, vpn: LOSSY, cellular: {} } as const;
    await writeConditions(stateDir, conditions);
    expect(await readConditions(stateDir)).toEqual(conditions);
  });

  it.each(['', '[1]', '{"eth":{}}', '{"wifi":{"down":1}}', '{"wifi":{"lossPercent":"30"}}', '{"wifi":{"lossBy":"x"}}'])(
    'readConditions() takes %j for nothing',
    async (text) => {
      writeFileSync(labFiles(stateDir).links, text);
      expect(await readConditions(stateDir)).toEqual({});
    },
  );
});
