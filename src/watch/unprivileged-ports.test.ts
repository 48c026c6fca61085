import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { firstUnprivilegedPort } from './unprivileged-ports.ts';

const dir = mkdtempSync(join(tmpdir(), 'ports-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function first(text: string): number {
  const path = join(dir, 'ip_unprivileged_port_start');
  writeFileSync(path, text);
  return firstUnprivilegedPort(path);
}

describe('firstUnprivilegedPort()', () => {
  it('is what the kernel says, and its default where that cannot be read', () => {
    expect(first('0\n')).toBe(0);
    expect(first('978\n')).toBe(978);
    expect(first('?')).toBe(1024);
    expect(firstUnprivilegedPort(join(dir, 'none'))).toBe(1024);
  });
});
