import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { removePins } from './pin-directory.ts';

describe('removePins()', () => {
  it('removePins() leaves nothing, and is content with what somebody else has removed', () => {
    const parent = mkdtempSync(join(tmpdir(), 'pins-'));
    try {
      const directory = join(parent, 'pins');
      mkdirSync(directory);
      writeFileSync(join(directory, 'map'), '');
      symlinkSync('1:2:3:4', join(directory, 'owner'));
      removePins(directory);
      expect(existsSync(directory)).toBe(false);
      expect(() => removePins(directory)).not.toThrow();
    } finally {
      rmSync(parent, { recursive: true });
    }
  });
});
