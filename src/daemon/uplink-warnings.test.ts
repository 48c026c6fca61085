import { describe, expect, it } from 'vitest';
import type { UplinkHealths } from '../watch/uplink-health.ts';
import { uplinkWarnings } from './uplink-warnings.ts';

const GOOD = { state: 'good', rttMs: 20 } as const;
const FAILED = { state: 'failed', lossRatio: 1 } as const;
const PORTAL = { ...GOOD, captivePortal: true } as const;

const warned = (
  healths: Record<string, ReturnType<UplinkHealths['get']>>,
  notProbed = [] as { uplink: string; family: 4 | 6; because: string }[],
) =>
  Object.fromEntries(
    uplinkWarnings(
      new Map(Object.entries(healths).flatMap(([name, health]) => (health ? [[name, health]] : []))),
      notProbed,
    ).map(([code, warning]) => [code, warning?.message]),
  );

describe('uplinkWarnings()', () => {
  it('uplinkWarnings() says nothing where all is well', () => {
    expect(warned({ wifi: { v4: GOOD, v6: GOOD }, phone: { v4: { state: 'unknown' } } })).toEqual({
      'uplink-failed': undefined,
      'captive-portal': undefined,
      'uplink-not-probed': undefined,
    });
  });

  it('uplinkWarnings() names the uplinks that have failed, and the family where it is not all of it', () => {
    const healths = {
      wifi: { v4: FAILED, v6: GOOD },
      phone: { v4: FAILED },
      cable: { v4: FAILED, v6: FAILED },
      home: { v4: GOOD },
    };
    expect(warned(healths)['uplink-failed']).toMatch(/: wifi \(IPv4\), phone, cable$/);
  });

  it('uplinkWarnings() names the uplinks where somebody else answers', () => {
    expect(warned({ wifi: { v4: PORTAL, v6: GOOD }, phone: { v4: PORTAL } })['captive-portal']).toMatch(
      /: wifi \(IPv4\), phone$/,
    );
  });

  it('uplinkWarnings() says why nothing could be sent', () => {
    const notProbed = [{ uplink: 'wifi', family: 6 as const, because: 'EACCES' }];
    expect(warned({}, notProbed)['uplink-not-probed']).toMatch(/: wifi IPv6 \(EACCES\)$/);
  });
});
