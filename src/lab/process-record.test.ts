import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { endProcess, isAlive, isRecord, type ProcessRecord, recordProcess } from './process-record.ts';

async function recordOf(...argv: [string, ...string[]]): Promise<ProcessRecord> {
  const child = spawn(argv[0], argv.slice(1), { stdio: 'ignore' });
  await once(child, 'spawn');
  const record = recordProcess(child.pid ?? 0);
  if (record === undefined) throw new Error('the process ended early');
  return record;
}

describe('process record', () => {
  it('endProcess() ends the recorded process and is content with one that is gone', async () => {
    const record = await recordOf('sleep', '60');
    expect(isAlive(record)).toBe(true);
    expect(await endProcess(record)).toBe(true);
    expect(isAlive(record)).toBe(false);
    expect(await endProcess(record)).toBe(true);
  });

  it('endProcess() leaves a process alone that only has the same pid', async () => {
    const record = await recordOf('sleep', '60');
    await endProcess({ ...record, startTimeTicks: '1' });
    await endProcess({ ...record, bootId: 'another' });
    expect(isAlive(record)).toBe(true);
    await endProcess(record);
  });

  it('isRecord() refuses what a damaged file may hold', () => {
    const good = { pid: 12, startTimeTicks: '1', bootId: 'b' };
    expect(isRecord(good)).toBe(true);
    for (const bad of [null, 12, {}, { ...good, pid: 0 }, { ...good, pid: '12' }, { ...good, bootId: undefined }]) {
      expect(isRecord(bad)).toBe(false);
    }
  });
});
