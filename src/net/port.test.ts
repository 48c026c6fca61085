import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPortRange, type PortRange, parsePortRange, portInRange } from './port.ts';

const range: fc.Arbitrary<PortRange> = fc
  .tuple(fc.nat(65535), fc.oneof(fc.constant(0), fc.nat(20), fc.nat(65535)))
  .map(([first, width]) => ({ first, last: Math.min(first + width, 65535) }));

describe('parsePortRange()', () => {
  it.each([
    ['80', 80, 80],
    ['80-90', 80, 90],
    ['80-80', 80, 80],
    ['0', 0, 0],
    ['1-65535', 1, 65535],
    ['*', 0, 65535],
  ])('parsePortRange() reads %s', (text, first, last) => {
    expect(parsePortRange(text)).toEqual({ first, last });
  });

  it.each([
    '',
    '-',
    '-80',
    '80-',
    '90-80',
    '65536',
    '1-65536',
    '080',
    '0x50',
    '80 - 90',
    ' 80',
    '80\n',
    '1-2-3',
    '**',
    '1e3',
    'http',
  ])('parsePortRange() refuses %j', (text) => {
    expect(parsePortRange(text)).toBeUndefined();
  });

  it('parsePortRange() undoes formatPortRange()', () => {
    const property = fc.property(range, (value) => {
      expect(parsePortRange(formatPortRange(value))).toEqual(value);
    });
    fc.assert(property);
  });
});

describe('formatPortRange()', () => {
  it('formatPortRange() writes one port, a range and every port', () => {
    expect(formatPortRange({ first: 443, last: 443 })).toBe('443');
    expect(formatPortRange({ first: 1, last: 65535 })).toBe('1-65535');
    expect(formatPortRange({ first: 0, last: 65535 })).toBe('*');
  });
});

describe('portInRange()', () => {
  it('portInRange() includes both ends and nothing beyond', () => {
    const probes = [79, 80, 85, 90, 91].map((port) => portInRange({ first: 80, last: 90 }, port));
    expect(probes).toEqual([false, true, true, true, false]);
  });
});
