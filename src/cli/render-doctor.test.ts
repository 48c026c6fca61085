import { describe, expect, it } from 'vitest';
import { renderDoctor } from './render-doctor.ts';

const HEAD = { network: "the machine's own network", kernel: 'Linux 6.1' };

describe('renderDoctor', () => {
  it('renderDoctor has a line for each finding, what mends it below, and counts', () => {
    const findings = [
      { part: 'files', state: 'ok', message: '3 files, no mistakes' },
      { part: 'conntrack', state: 'limited', message: 'bytes are not counted', mend: 'sysctl -w a=1' },
      { part: 'nftables', state: 'broken', message: 'nft is not installed', mend: 'apt install nftables' },
      { part: 'scripts', state: 'not seen', message: 'only root may look at it' },
    ] as const;
    expect(renderDoctor({ ...HEAD, findings }, { colour: false })).toBe(
      [
        "the machine's own network, Linux 6.1",
        '',
        'ok        files      3 files, no mistakes',
        'limited   conntrack  bytes are not counted',
        '                     -> sysctl -w a=1',
        'broken    nftables   nft is not installed',
        '                     -> apt install nftables',
        'not seen  scripts    only root may look at it',
        '',
        'Of 4: 1 broken, 1 limited, 1 not seen.',
        '',
      ].join('\n'),
    );
  });

  it('renderDoctor says that all of it works', () => {
    const findings = [{ part: 'files', state: 'ok', message: 'none yet' }] as const;
    expect(renderDoctor({ ...HEAD, findings }, { colour: false })).toMatch(/\nAll of it works\.\n$/);
  });
});
