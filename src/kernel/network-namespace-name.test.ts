import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { networkNamespaceName } from './network-namespace-name.ts';

describe('networkNamespaceName()', () => {
  it('networkNamespaceName() says what the namespace is called, and otherwise whose it is', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netns-'));
    try {
      writeFileSync(join(directory, 'another'), '');
      const unnamed = networkNamespaceName(directory);
      expect(unnamed).toMatch(/^(the machine's own network|network namespace \d+)$/);
      symlinkSync('/proc/self/ns/net', join(directory, 'blue'));
      expect(networkNamespaceName(directory)).toBe('network namespace blue');
      expect(networkNamespaceName(join(directory, 'none'))).toBe(unnamed);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
