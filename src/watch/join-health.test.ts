import { describe, expect, it } from 'vitest';
import type { UplinkState } from '../policy/facts.ts';
import { joinHealth } from './join-health.ts';

const HOME: UplinkState = {
  name: 'home',
  id: 1,
  device: 'eth0',
  up: true,
  v4: true,
  v6: false,
  addresses: [],
  onLink: [],
  gateways: {},
};
const GOOD = { state: 'good', rttMs: 20 } as const;
const FAILED = { state: 'failed' } as const;

describe('joinHealth()', () => {
  it('joinHealth() gives each uplink the health of the families that are up', () => {
    const healths = new Map([['home', { v4: GOOD, v6: FAILED }]]);
    expect(joinHealth([HOME], healths)).toEqual([{ ...HOME, health: { v4: GOOD } }]);
    expect(joinHealth([{ ...HOME, v4: false }], healths)).toEqual([{ ...HOME, v4: false }]);
  });

  it('joinHealth() leaves an uplink of which nothing is known as it is', () => {
    expect(joinHealth([HOME], new Map([['work', { v4: GOOD }]]))[0]).toBe(HOME);
    expect(joinHealth([HOME])[0]).toBe(HOME);
  });
});
