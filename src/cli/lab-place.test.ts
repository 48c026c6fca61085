import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { labOfRoot, labRoot } from './lab-place.ts';

describe('labRoot', () => {
  it('labRoot is where the daemon of a lab has its files, and says how to build one that is not there', () => {
    const labs = mkdtempSync(join(tmpdir(), 'labs-'));
    try {
      mkdirSync(join(labs, 'mine/root'), { recursive: true });
      expect(labRoot('mine', labs)).toBe(join(labs, 'mine/root'));
      expect(labOfRoot(join(labs, 'mine/root'), labs)).toBe('mine');
      expect(() => labRoot('other', labs)).toThrow('There is no such lab: sudo pointsman lab --id other up');
      expect(() => labRoot('../mine', labs)).toThrow('lower-case letters');
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
