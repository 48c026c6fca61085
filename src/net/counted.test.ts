import { describe, expect, it } from 'vitest';
import { counted } from './counted.ts';

describe('counted()', () => {
  it('counted() says one of a thing, and several or none of them', () => {
    expect([0, 1, 2].map((count) => counted(count, 'uplink'))).toEqual(['0 uplinks', '1 uplink', '2 uplinks']);
  });
});
