/** What people should know of uplinks that are up. Pure. */
import type { FamilyHealth } from '../policy/facts.ts';
import type { UplinkHealth, UplinkHealths } from '../watch/uplink-health.ts';
import type { HealthCode, Warning } from './health.ts';

type NotProbed = ReturnType<UplinkHealth['notProbed']>;

/** Each code, with its warning where there is one. */
export function uplinkWarnings(
  healths: UplinkHealths,
  notProbed: NotProbed,
): readonly (readonly [code: HealthCode, warning: Warning | undefined])[] {
  return [
    ['uplink-failed', failedUplinks(healths)],
    ['captive-portal', captivePortals(healths)],
    ['uplink-not-probed', unprobed(notProbed)],
  ];
}

/** `wifi (IPv4), cellular`: those of which some family is so. */
function named(healths: UplinkHealths, isSo: (health: FamilyHealth) => boolean): string[] {
  return [...healths].flatMap(([name, { v4, v6 }]) => {
    const families = [...(v4 && isSo(v4) ? ['IPv4'] : []), ...(v6 && isSo(v6) ? ['IPv6'] : [])];
    if (families.length === 0) return [];
    return [families.length === [v4, v6].filter((one) => one !== undefined).length ? name : `${name} (${families})`];
  });
}

function failedUplinks(healths: UplinkHealths): Warning | undefined {
  const failed = named(healths, ({ state }) => state === 'failed');
  if (failed.length === 0) return undefined;
  const message = `uplinks that are up but do not work: ${failed.join(', ')}`;
  return { message, hint: 'too much is lost, or answers take too long; nothing is to be done where others take over' };
}

function captivePortals(healths: UplinkHealths): Warning | undefined {
  const caught = named(healths, ({ captivePortal }) => captivePortal === true);
  if (caught.length === 0) return undefined;
  const message = `somebody answers in place of the internet (a captive portal): ${caught.join(', ')}`;
  return { message, hint: 'open any http:// page in a browser by this uplink, and log in there' };
}

function unprobed(families: NotProbed): Warning | undefined {
  if (families.length === 0) return undefined;
  const shown = families.map(({ uplink, family, because }) => `${uplink} IPv${family} (${because})`);
  const message = `nothing could be sent to find out whether uplinks work: ${shown.join(', ')}`;
  return { message, hint: 'connections that live on them tell all the same' };
}
