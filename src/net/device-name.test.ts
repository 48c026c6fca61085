import { describe, expect, it } from 'vitest';
import { isUsableDeviceName } from './device-name.ts';

describe('isUsableDeviceName', () => {
  it.each([
    'wlan0',
    'eth0.100',
    'br-lan',
    'enx0250b6',
    'w#x',
    "q'x",
    '-x',
    'a$b',
    'grün0',
    '123456789012345',
    '1234567890123ü',
    '{',
    ';',
  ])('isUsableDeviceName takes %j', (name) => {
    expect(isUsableDeviceName(name)).toBe(true);
  });

  it.each([
    ['w*"accept#', 'a quote, for which nft has no escape'],
    ['w*', 'a pattern of nft'],
    ['w\\*', 'what nft takes for a star'],
    ['w\\', 'a backslash'],
    ['a\ufffd', 'bytes that are not UTF-8'],
    ['a\u001b[31m', 'a control character'],
    ['a\u009b31m', 'a control character of the second set'],
    ['a\u202eb', 'what turns text around'],
    ['a\nb', 'the end of a line'],
    ['', 'nothing'],
    ['.', 'a directory'],
    ['..', 'a directory'],
    ['1234567890123456', '16 bytes'],
    ['12345678901234ü', '16 bytes in 15 characters'],
  ])('isUsableDeviceName refuses %j: %s', (name) => {
    expect(isUsableDeviceName(name)).toBe(false);
  });
});
