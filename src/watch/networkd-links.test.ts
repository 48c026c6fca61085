import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { networkdManages } from './networkd-links.ts';

const directory = mkdtempSync(join(tmpdir(), 'networkd-links-'));
mkdirSync(join(directory, 'links'));
writeFileSync(join(directory, 'links', '2'), 'ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/lan.network\n');
writeFileSync(join(directory, 'links', '3'), 'ADMIN_STATE=unmanaged\nOPER_STATE=routable\n');
afterAll(() => rmSync(directory, { recursive: true }));

describe('networkdManages', () => {
  it('networkdManages says it of links with a .network file, and of no others', () => {
    const manages = [2, 3, 4].map((index) => networkdManages(index, directory, () => true));
    expect(manages).toEqual([true, false, false]);
  });

  it('networkdManages says nothing of links of another network namespace, which have numbers of their own', () => {
    expect(networkdManages(2, directory, () => false)).toBe(false);
  });
});
