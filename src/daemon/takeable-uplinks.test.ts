import { describe, expect, it } from 'vitest';
import type { UplinkState } from '../policy/facts.ts';
import { takeableUplinks } from './takeable-uplinks.ts';

const uplink = (id: number, more: Partial<UplinkState> = {}): UplinkState => ({
  name: `u${id}`,
  id,
  device: `u${id}`,
  deviceIndex: id,
  up: true,
  v4: true,
  v6: true,
  addresses: [],
  onLink: [],
  gateways: {},
  ...more,
});

describe('takeableUplinks()', () => {
  it('takeableUplinks() gives the same list where nothing has come up', () => {
    const after = [uplink(1, { up: false }), uplink(2)];
    expect(takeableUplinks([uplink(1), uplink(2), uplink(3)], after)).toBe(after);
  });

  it('takeableUplinks() leaves out what is new, what has come up, and a family that has come up', () => {
    const before = [uplink(1, { up: false }), uplink(2, { v6: false })];
    expect(takeableUplinks(before, [uplink(1), uplink(2), uplink(3)])).toEqual([
      uplink(1, { up: false }),
      uplink(2, { v6: false }),
    ]);
  });
});
