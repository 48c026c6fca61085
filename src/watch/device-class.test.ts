import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { deviceClass } from './device-class.ts';

const LINK = fakeLink({ index: 3, name: 'wlan0', hardwareAddress: '02:00:5e:10:00:01' });
let directory: string;

function device(uevent: string, ...directories: readonly string[]): void {
  const path = join(directory, 'wlan0');
  mkdirSync(path);
  for (const name of directories) mkdirSync(join(path, name));
  writeFileSync(join(path, 'ifindex'), '3\n');
  writeFileSync(join(path, 'address'), '02:00:5e:10:00:01\n');
  writeFileSync(join(path, 'uevent'), uevent);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'device-class-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('deviceClass', () => {
  it.each([
    ['DEVTYPE=wlan\nINTERFACE=wlan0\nIFINDEX=3\n', 'wifi'],
    ['DEVTYPE=wwan\nINTERFACE=wlan0\n', 'wwan'],
    ['INTERFACE=wlan0\nDEVTYPE=bluetooth\n', 'bluetooth'],
    ['DEVTYPE=vlan\n', undefined],
    ['INTERFACE=wlan0\n', undefined],
  ])('deviceClass reads %j', (uevent, told) => {
    device(uevent);
    expect(deviceClass(LINK, directory)).toBe(told);
  });

  it.each(['wireless', 'phy80211'])('deviceClass knows wifi by %s', (name) => {
    device('INTERFACE=wlan0\n', name);
    expect(deviceClass(LINK, directory)).toBe('wifi');
  });

  it('deviceClass says nothing of another namespace’s device of that name', () => {
    device('DEVTYPE=wlan\n');
    expect(deviceClass({ ...LINK, index: 4 }, directory)).toBeUndefined();
    expect(deviceClass({ ...LINK, hardwareAddress: '02:00:5e:10:00:02' }, directory)).toBeUndefined();
    expect(deviceClass({ ...LINK, name: 'wlan1' }, directory)).toBeUndefined();
  });
});
