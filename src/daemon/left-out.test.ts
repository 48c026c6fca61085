import { describe, expect, it } from 'vitest';
import { isLeftOut } from './left-out.ts';

describe('isLeftOut', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['totals', true],
    ['bpf,totals', true],
    ['totalsx,bpf', false],
  ])('isLeftOut of totals, where POINTSMAN_WITHOUT is %s, is %s', (value, isWithout) => {
    const environment = value === undefined ? {} : { POINTSMAN_WITHOUT: value };
    expect(isLeftOut('totals', environment)).toBe(isWithout);
  });
});
