import { describe, expect, it } from 'vitest';
import { isUplink, readMark } from './flow-mark.ts';
import { UPLINK_FIRST, UPLINK_INBOUND, UPLINK_LAST, UPLINK_NONE, UPLINK_SYSTEM } from './reserved.ts';

describe('readMark()', () => {
  it('readMark() reads the way of the largest mark as a positive number', () => {
    expect(readMark(0xff00fdff)).toEqual({ appId: 0xfdff, way: UPLINK_NONE });
  });

  it('readMark() leaves out what is others’', () => {
    expect(readMark(0x80ff0001)).toEqual({ appId: 1, way: UPLINK_SYSTEM });
  });
});

describe('isUplink()', () => {
  it('isUplink() is for numbers of uplinks only', () => {
    expect([UPLINK_FIRST, UPLINK_LAST].map(isUplink)).toEqual([true, true]);
    expect([UPLINK_SYSTEM, UPLINK_INBOUND, UPLINK_NONE].map(isUplink)).toEqual([false, false, false]);
  });
});
