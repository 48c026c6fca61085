/** `uplinks`: the same for the daemon and for the command line. Pure. */
import type { TrafficTotals } from '../api/traffic-totals.ts';
import type { PassedOver, UplinkReport, UplinksReport } from '../api/uplinks.ts';
import { formatAddress, formatPrefix, type Prefix } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import { shownProperties } from '../policy/shown-properties.ts';
import { type AppWay, type WayContext, waysOfApp } from '../policy/ways-of-app.ts';
import type { LiveTraffic, WayTraffic } from './live-traffic.ts';
import type { ManagedDevice } from './managed-devices.ts';
import { uplinkTotals } from './uplink-totals.ts';

/** Applications named for one reason; the others are counted. */
export const MAX_APPS_NAMED = 12;
/** What a `via` of the system default is about. */
const WITHOUT_POLICY = 'programs without a policy';

export interface UplinksSources {
  readonly context: WayContext;
  /** What NetworkManager and ModemManager say of a device. */
  readonly managed: (device: string) => ManagedDevice | undefined;
  readonly live: LiveTraffic | { readonly unknown: string };
  readonly isCounted: boolean;
  /** Uplinks with the networks that they are in. Absent: as far as it is in `context`. */
  readonly attach?: (uplinks: readonly UplinkState[]) => readonly UplinkState[];
  /** Only a daemon has them. */
  readonly totals?: TrafficTotals;
}

const NO_TRAFFIC: WayTraffic = { traffic: { connections: 0 }, byApp: [] };

export function uplinksReport(sources: UplinksSources): UplinksReport {
  const { context, managed, live, isCounted, attach, totals } = sources;
  const { policySet, facts } = context;
  const reasons = reasonsByUplink(context);
  const states = new Map((attach?.(facts.uplinks) ?? facts.uplinks).map((state) => [state.name, state]));
  const isUnknown = 'unknown' in live;
  const total =
    totals &&
    uplinkTotals(
      totals,
      policySet.uplinks.map(({ name }) => name),
    );
  return {
    uplinks: policySet.uplinks.map((uplink): UplinkReport => {
      const state = states.get(uplink.name);
      const device = managed(uplink.device);
      const way = isUnknown ? undefined : live.byUplink.get(state?.id ?? -1);
      const { connection, operator } = device ?? {};
      return {
        name: uplink.name,
        device: uplink.device,
        discovered: uplink.discovered === true,
        ...stateOf(state),
        ...notBelieved(state, [...(facts.doubted ?? []), ...(facts.overstated ?? [])]),
        ...(uplink.untaken && { state: 'not taken' as const }),
        properties: shownProperties(uplink),
        priority: uplink.priority,
        ...(connection !== undefined && { connection }),
        technologies: device?.technologies ?? [],
        ...(operator !== undefined && { operator }),
        dns: (device?.dns ?? []).map(formatAddress),
        traffic: (way ?? NO_TRAFFIC).traffic,
        usedBy: (way ?? NO_TRAFFIC).byApp,
        ...(total !== undefined && { totals: total.byUplink.get(uplink.name) ?? [] }),
        takenBy: grouped(reasons.get(uplink.name)?.taken),
        passedOver: grouped(reasons.get(uplink.name)?.passedOver),
      };
    }),
    others: isUnknown ? [] : [...live.byOther].map(([way, { traffic }]) => ({ way, ...traffic })),
    isCounted,
    ...(isUnknown && { connectionsUnknown: live.unknown }),
    ...(total !== undefined && { totals: total.report }),
  };
}

function stateOf(
  state: UplinkState | undefined,
): Pick<UplinkReport, 'state' | 'downBecause' | 'v4' | 'v6' | 'addresses' | 'gateways' | 'health' | 'network'> {
  if (state === undefined) return { state: 'no device', v4: false, v6: false, addresses: [], gateways: [] };
  const { deviceIndex, up, downBecause, v4, v6, addresses, gateways, health, network } = state;
  return {
    state: deviceIndex === undefined ? 'no device' : up ? 'up' : 'down',
    ...(downBecause !== undefined && { downBecause }),
    v4,
    v6,
    addresses: addresses.map(formatAddress),
    gateways: [gateways.v4, gateways.v6].flatMap((gateway) => (gateway === undefined ? [] : formatAddress(gateway))),
    ...(health !== undefined && { health }),
    ...(network !== undefined && { network }),
  };
}

function notBelieved(state: UplinkState | undefined, doubted: readonly Prefix[]): Pick<UplinkReport, 'notBelieved'> {
  const all = new Set(doubted.map(formatPrefix));
  const here = (state?.onLink ?? []).map(formatPrefix).filter((prefix) => all.has(prefix));
  return here.length === 0 ? {} : { notBelieved: here };
}

/** Reason -> who. */
type Reasons = Map<string, Set<string>>;
interface UplinkReasons {
  readonly taken: Reasons;
  readonly passedOver: Reasons;
}

function reasonsByUplink(context: WayContext): ReadonlyMap<string, UplinkReasons> {
  const byUplink = new Map<string, UplinkReasons>();
  const note = (way: AppWay, who: string): void => {
    if (way.choices === undefined) return;
    for (const { name } of context.policySet.uplinks) {
      const reasons = byUplink.get(name) ?? { taken: new Map(), passedOver: new Map() };
      byUplink.set(name, reasons);
      for (const { taken, because } of answersOf(way, name)) {
        const of = taken ? reasons.taken : reasons.passedOver;
        of.set(because, (of.get(because) ?? new Set()).add(who));
      }
    }
  };
  for (const policy of context.policySet.apps) {
    for (const way of waysOfApp(context, policy)) {
      const isOfOneRule = way.via !== policy.via?.value && typeof way.rule === 'number';
      note(way, isOfOneRule ? `${policy.app} (line ${way.at.line})` : policy.app);
    }
  }
  for (const way of waysOfApp(context, undefined)) note(way, WITHOUT_POLICY);
  return byUplink;
}

/** One where both families come to the same. */
function answersOf(
  { choices }: AppWay,
  uplink: string,
): readonly { readonly taken: boolean; readonly because: string }[] {
  const [v4, v6] = [choices?.v4, choices?.v6].map((choice) =>
    choice?.considered.find((considered) => considered.uplink === uplink),
  );
  if (v4 !== undefined && v6 !== undefined && v4.taken === v6.taken && v4.because === v6.because) return [v4];
  const named = (['IPv4', 'IPv6'] as const).map((family, i) => ({ family, of: [v4, v6][i] }));
  return named.flatMap(({ family, of }) =>
    of === undefined ? [] : [{ taken: of.taken, because: `${of.because} (${family})` }],
  );
}

function grouped(reasons: Reasons = new Map()): PassedOver[] {
  return [...reasons].map(([because, who]) => {
    const apps = [...who];
    return { because, apps: apps.slice(0, MAX_APPS_NAMED), more: Math.max(0, apps.length - MAX_APPS_NAMED) };
  });
}
