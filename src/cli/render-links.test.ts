import { describe, expect, it } from 'vitest';
import { renderLinks } from './render-links.ts';

describe('renderLinks', () => {
  it('renderLinks() tells what a link was made to be from what became of it', () => {
    const links = [
      { uplink: 'wifi', device: 'wifi0', carrier: false, condition: { down: true } },
      { uplink: 'vpn', device: 'vpn0', carrier: false, condition: {} },
      { uplink: 'cellular', device: 'cell0', carrier: true, condition: { lossPercent: 5, lossBy: 'netem' } },
    ] as const;
    expect(renderLinks(links, false)).toEqual([
      'UPLINK    DEVICE  LINK        CONDITION',
      'wifi      wifi0   no carrier  down',
      'vpn       vpn0    no carrier  as built',
      'cellular  cell0   carrier     loss 5% (by netem)',
    ]);
  });
});
