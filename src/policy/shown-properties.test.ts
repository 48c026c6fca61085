import { describe, expect, it } from 'vitest';
import { propertiesOf } from './join-uplinks.ts';
import type { Uplink } from './model.ts';
import { shownProperties } from './shown-properties.ts';

const UPLINK = {
  name: 'wifi',
  device: 'wlan0',
  priority: 100,
  gateways: {},
  at: { file: 'wifi.yaml', line: 1, column: 1 },
};
const textOf = (uplink: Uplink): string[] =>
  shownProperties(uplink).map(({ name, value, source }) => `${name}: ${value} (${source})`);

describe('shownProperties()', () => {
  it('shownProperties() names who says each, numbers too, and leaves out what nobody says', () => {
    const told = propertiesOf([
      { by: 'file', told: { trusted: true, bandwidthBitsPerSecond: 50_000_000, lossRatio: 0.01 } },
      { by: 'NetworkManager', told: { metered: true }, guesses: ['metered'] },
    ]);
    expect(textOf({ ...UPLINK, ...told })).toEqual([
      'type: other (default)',
      'metered: yes (NetworkManager, guess)',
      'roaming: no (default)',
      'trusted: yes (file)',
      'encrypted: no (default)',
      'bandwidth: 50mbit (file)',
      'loss: 1% (file)',
    ]);
  });

  it('shownProperties() takes what has no source for the file’s', () => {
    const { properties } = propertiesOf([]);
    expect(textOf({ ...UPLINK, properties: { ...properties, rttMs: 30 } })).toContain('rtt: 30ms (file)');
  });
});
