import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { configuredResolvers } from './resolvers.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'resolvers-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('configuredResolvers()', () => {
  it('reads the addresses of nameserver lines, and no others', () => {
    const path = join(dir, 'resolv.conf');
    writeFileSync(
      path,
      '# nameserver 192.0.2.1\nsearch lan\nnameserver 192.0.2.53\nnameserver\t2001:db8::53%eth0\nnameserver 127.0.0.53\nnameserver no\n',
    );
    expect(configuredResolvers(path).map(formatAddress)).toEqual(['192.0.2.53', '2001:db8::53']);
  });

  it('is empty where there is no file', () => {
    expect(configuredResolvers(join(dir, 'missing'))).toEqual([]);
  });
});
