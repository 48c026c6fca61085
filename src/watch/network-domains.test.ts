import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { networkdDomains, resolvConfDomains } from './network-domains.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pml-domains-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('networkdDomains()', () => {
  it('networkdDomains() reads what was configured for a link, and what DHCP gave it', () => {
    for (const kind of ['links', 'leases']) mkdirSync(join(directory, kind));
    writeFileSync(join(directory, 'links/3'), 'ADMIN_STATE=configured\nDNS=192.0.2.53\nDOMAINS=corp.example Lan\n');
    writeFileSync(
      join(directory, 'leases/3'),
      'ADDRESS=192.0.2.7\nDOMAINNAME=home.example\nDOMAIN_SEARCH_LIST=a.example lan\n',
    );
    expect(networkdDomains(3, directory)).toEqual(['a.example', 'corp.example', 'home.example', 'lan']);
    expect(networkdDomains(33, directory)).toEqual([]);
  });

  it('networkdDomains() knows none where networkd does not run', () => {
    expect(networkdDomains(3, join(directory, 'none'))).toEqual([]);
  });
});

describe('resolvConfDomains()', () => {
  it.each([
    ['nameserver 192.0.2.53\nsearch home.example lan\n', ['home.example', 'lan']],
    ['search a.example\ndomain b.example\n', ['b.example']],
    ['# search a.example\nsearching b.example\n', []],
    ['search .\n', []],
    ['', []],
  ])('resolvConfDomains() reads %j', (text, domains) => {
    const path = join(directory, 'resolv.conf');
    writeFileSync(path, text);
    expect(resolvConfDomains(path)).toEqual(domains);
  });

  it('resolvConfDomains() knows none without a file', () => {
    expect(resolvConfDomains(join(directory, 'none'))).toEqual([]);
  });
});
