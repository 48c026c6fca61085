import type { UplinkState } from '../policy/facts.ts';
import type { UplinkHealths } from './uplink-health.ts';

/** Uplinks with what is known of their health. A family that is down has none. */
export function joinHealth(
  uplinks: readonly UplinkState[],
  healths: UplinkHealths = new Map(),
): readonly UplinkState[] {
  return uplinks.map((uplink) => {
    const { v4, v6 } = healths.get(uplink.name) ?? {};
    const health = { ...(uplink.v4 && v4 !== undefined && { v4 }), ...(uplink.v6 && v6 !== undefined && { v6 }) };
    return Object.keys(health).length === 0 ? uplink : { ...uplink, health };
  });
}
