import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { existingLabRoot, labOfRoot, parseLabId } from './lab-place.ts';

describe('existingLabRoot', () => {
  it('existingLabRoot is where the daemon of a lab has its files, and says how to build one that is not there', () => {
    const labs = mkdtempSync(join(tmpdir(), 'labs-'));
    try {
      mkdirSync(join(labs, 'mine/root'), { recursive: true });
      expect(existingLabRoot('mine', labs)).toBe(join(labs, 'mine/root'));
      expect(labOfRoot(join(labs, 'mine/root'), labs)).toBe('mine');
      expect(() => existingLabRoot('other', labs)).toThrow(
        expect.objectContaining({ message: 'there is no lab "other"', hint: 'sudo pointsman lab --id other up' }),
      );
      expect(() => parseLabId('../mine')).toThrow('lower-case letters');
    } finally {
      rmSync(labs, { recursive: true });
    }
  });

  it('labOfRoot knows no lab elsewhere', () => {
    expect(labOfRoot('/run/pointsman-lab/lab/root')).toBe('lab');
    for (const root of ['/', '/srv/x', '/run/pointsman-lab/lab', '/run/other/lab/root'])
      expect(labOfRoot(root), root).toBeUndefined();
  });
});
