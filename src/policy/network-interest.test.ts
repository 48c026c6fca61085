import { describe, expect, it } from 'vitest';
import { networkInterest } from './network-interest.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };

describe('networkInterest()', () => {
  it('networkInterest() is in nothing where no profile speaks of a network', () => {
    const nothing = { ssid: false, gatewayMacs: false, domains: false };
    expect(networkInterest()).toEqual(nothing);
    expect(networkInterest([{ name: 'work', when: [{ uplinks: ['office'] }], at }])).toEqual(nothing);
  });

  it('networkInterest() is in what any entry of any profile speaks of', () => {
    const profiles = [
      { name: 'home', when: [{ uplinks: ['a'] }, { ssids: ['Home'] }], at },
      { name: 'work', when: [{ domains: ['corp.example'] }], at },
    ];
    expect(networkInterest(profiles)).toEqual({ ssid: true, gatewayMacs: false, domains: true });
  });
});
