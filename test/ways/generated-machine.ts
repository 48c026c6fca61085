/**
 * Machines with up to three uplinks and a local network, in the layouts that people have: a plain default route, a VPN's two
 * halves of everything, a more specific route, no default route, wg-quick's rules. The same values make the model's machine and
 * a real one in a network namespace.
 */
import fc from 'fast-check';
import {
  type Address,
  type Family,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
} from '../../src/net/address.ts';
import {
  type Device,
  MAIN_TABLE,
  type Machine,
  mainRules,
  type Route,
  type RoutingRule,
} from '../../src/plan/machine/machine.ts';
import { RULE_PREF_LOCAL } from '../../src/plan/reserved.ts';
import { ruleWindowBefore } from '../../src/plan/rule-window.ts';
import type { UplinkState } from '../../src/policy/facts.ts';

export const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
export const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

/** A device, its addresses, and the router behind it. */
export interface Link {
  readonly device: string;
  readonly index: number;
  readonly v4: LinkFamily;
  readonly v6: LinkFamily;
}
export interface LinkFamily {
  readonly addresses: readonly string[];
  readonly networks: readonly string[];
  readonly gateway: string;
  /** Somebody else's router on the same link. */
  readonly otherRouter: string;
}

const family4 = (network: string): LinkFamily => ({
  addresses: [`${network}.2`],
  networks: [`${network}.0/24`],
  gateway: `${network}.1`,
  otherRouter: `${network}.254`,
});
const family6 = (...networks: readonly [string, ...string[]]): LinkFamily => ({
  addresses: networks.map((network) => `${network}::2`),
  networks: networks.map((network) => `${network}::/64`),
  gateway: `${networks[0]}::1`,
  otherRouter: `${networks[0]}::fe`,
});

export const WIFI: Link = { device: 'wifi0', index: 2, v4: family4('192.168.7'), v6: family6('fd07', '2001:db8:7') };
export const CELL: Link = { device: 'cell0', index: 3, v4: family4('10.9.1'), v6: family6('2001:db8:9') };
export const VPN: Link = { device: 'vpn0', index: 4, v4: family4('10.8.0'), v6: family6('fd08') };
export const LAN: Link = { device: 'lan0', index: 5, v4: family4('192.168.50'), v6: family6('fd50') };
export const LINKS: readonly Link[] = [WIFI, CELL, VPN, LAN];
export const UPLINK_LINKS: readonly (readonly [string, Link])[] = [
  ['wifi', WIFI],
  ['cell', CELL],
  ['vpn', VPN],
];

export type Layout = 'plain default' | 'half defaults' | 'more specific route' | 'no default' | 'wg-quick';
export const LAYOUTS: readonly Layout[] = [
  'plain default',
  'half defaults',
  'more specific route',
  'no default',
  'wg-quick',
];

/** Whom the more specific route leads to. */
export type SpecificBy = 'vpn' | 'cell' | 'other router on wifi' | 'router on lan';

export interface Setting {
  readonly layout: Layout;
  readonly specificBy: SpecificBy;
  /** wg-quick was started after us, so that its rules stand before where ours would be. */
  readonly wgQuickLate: boolean;
  /** The administrator has a rule of his own for the first uplink's address. */
  readonly hasFromRule: boolean;
  /** The local network has just gone, and nobody has noticed yet. */
  readonly isLanGone: boolean;
  /** By the name of an uplink; absent: it is down. */
  readonly families: ReadonlyMap<string, { readonly v4: boolean; readonly v6: boolean }>;
}

export const setting: fc.Arbitrary<Setting> = fc
  .record({
    layout: fc.constantFrom<Layout>(...LAYOUTS, ...LAYOUTS.slice(0, 4)),
    specificBy: fc.constantFrom<SpecificBy>('vpn', 'cell', 'other router on wifi', 'router on lan'),
    wgQuickLate: fc.boolean(),
    hasFromRule: fc.integer({ min: 0, max: 6 }).map((dice) => dice === 0),
    isLanGone: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
    up: fc.tuple(...UPLINK_LINKS.map(() => fc.integer({ min: 0, max: 9 }))),
  })
  .map(({ up, ...rest }) => ({
    ...rest,
    families: new Map(
      UPLINK_LINKS.flatMap(([name], i) => {
        const dice = up[i] ?? 0;
        return dice === 0 ? [] : [[name, { v4: dice !== 1, v6: dice !== 2 }] as const];
      }),
    ),
  }));

export const SPECIFIC: Record<Family, Prefix> = { 4: prefix('203.0.113.0/24'), 6: prefix('2001:db8:a::/48') };
const EVERYWHERE: Record<Family, Prefix> = { 4: prefix('0.0.0.0/0'), 6: prefix('::/0') };
const HALVES: Record<Family, readonly Prefix[]> = {
  4: [prefix('0.0.0.0/1'), prefix('128.0.0.0/1')],
  6: [prefix('::/1'), prefix('8000::/1')],
};
export const WG_TABLE = 51_820;
export const WG_MARK = 0xca6c;
export const FROM_TABLE = 100;
const FROM_PRIORITY = 200;
const METRIC: Readonly<Record<string, number>> = { wifi: 100, cell: 700 };

const ofFamily = (link: Link, family: Family): LinkFamily => (family === 4 ? link.v4 : link.v6);

/** The devices that carry a family, and their addresses there. */
function carries({ families }: Setting, link: Link, family: Family): boolean {
  const name = UPLINK_LINKS.find(([, one]) => one === link)?.[0];
  if (name === undefined) return true;
  const state = families.get(name);
  return (family === 4 ? state?.v4 : state?.v6) === true;
}

const via = (link: Link, family: Family, gateway = ofFamily(link, family).gateway): Route['target'] => ({
  kind: 'unicast',
  device: link.device,
  gateway: address(gateway),
});

function specificRoute(setting: Setting, family: Family): Route[] {
  const by: Record<SpecificBy, readonly [Link, 'gateway' | 'otherRouter']> = {
    vpn: [VPN, 'gateway'],
    cell: [CELL, 'gateway'],
    'other router on wifi': [WIFI, 'otherRouter'],
    'router on lan': [LAN, 'otherRouter'],
  };
  const [link, router] = by[setting.specificBy];
  if (!carries(setting, link, family) || !linksThere(setting).includes(link)) return [];
  return [{ destination: SPECIFIC[family], metric: 50, target: via(link, family, ofFamily(link, family)[router]) }];
}

const connectedRoutes = (setting: Setting, links: readonly Link[]): Route[] =>
  ([4, 6] as const).flatMap((family) =>
    links
      .filter((link) => carries(setting, link, family))
      .flatMap((link) => {
        const { networks, addresses } = ofFamily(link, family);
        return networks.map((network, i): Route => {
          const source = family === 4 ? { source: address(addresses[i] ?? '') } : {};
          return {
            destination: prefix(network),
            metric: 256,
            target: { kind: 'unicast', device: link.device, ...source },
          };
        });
      }),
  );

const linksThere = ({ isLanGone }: Setting): readonly Link[] => LINKS.filter((link) => link !== LAN || !isLanGone);

/** But for connected networks. */
function mainTable(setting: Setting): Route[] {
  const { layout } = setting;
  return ([4, 6] as const).flatMap((family) => {
    const here = LINKS.filter((link) => carries(setting, link, family));
    const defaults =
      layout === 'no default'
        ? []
        : UPLINK_LINKS.flatMap(([name, link]): Route[] => {
            const metric = METRIC[name];
            if (metric === undefined || !here.includes(link)) return [];
            return [{ destination: EVERYWHERE[family], metric, target: via(link, family) }];
          });
    const halves =
      layout === 'half defaults' && here.includes(VPN)
        ? HALVES[family].map((half): Route => ({ destination: half, metric: 10, target: via(VPN, family) }))
        : [];
    const specific = layout === 'more specific route' ? specificRoute(setting, family) : [];
    return [...defaults, ...halves, ...specific];
  });
}

/** wg-quick: the main table but for its default, and everything else into the tunnel's. */
function wgRules({ layout, wgQuickLate, families }: Setting): RoutingRule[] {
  if (layout !== 'wg-quick' || !families.has('vpn')) return [];
  const first = wgQuickLate ? RULE_PREF_LOCAL - 2 : 32_764;
  return ([4, 6] as const).flatMap((family): RoutingRule[] => [
    { family, priority: first, suppressPrefixLength: 0, action: { kind: 'table', table: MAIN_TABLE } },
    {
      family,
      priority: first + 1,
      invert: true,
      fwmark: { mark: WG_MARK, mask: 0xffffffff },
      action: { kind: 'table', table: WG_TABLE },
    },
  ]);
}

function fromRules({ hasFromRule }: Setting): RoutingRule[] {
  if (!hasFromRule) return [];
  return [WIFI.v4, WIFI.v6].flatMap(({ addresses }) =>
    addresses.map((text): RoutingRule => {
      const from = address(text);
      const whole = { address: from, length: from.family === 4 ? 32 : 128 };
      return {
        family: from.family,
        priority: FROM_PRIORITY,
        from: whole,
        action: { kind: 'table', table: FROM_TABLE },
      };
    }),
  );
}

const defaultBy = (setting: Setting, link: Link): Route[] =>
  ([4, 6] as const)
    .filter((family) => carries(setting, link, family))
    .map((family) => ({ destination: EVERYWHERE[family], metric: 20, target: via(link, family) }));

const addressesOf = (setting: Setting, link: Link): Address[] =>
  ([4, 6] as const)
    .filter((family) => carries(setting, link, family))
    .flatMap((family) => ofFamily(link, family).addresses.map(address));

/** Without anything of ours. */
export function machineOf(setting: Setting): Machine {
  const devices = LINKS.map(
    (link): Device => ({ name: link.device, index: link.index, addresses: addressesOf(setting, link) }),
  );
  return {
    devices,
    tables: new Map([
      [MAIN_TABLE, [...connectedRoutes(setting, linksThere(setting)), ...mainTable(setting)]],
      ...(setting.layout === 'wg-quick' ? ([[WG_TABLE, defaultBy(setting, VPN)]] as const) : []),
      ...(setting.hasFromRule
        ? ([[FROM_TABLE, [...connectedRoutes(setting, [WIFI]), ...defaultBy(setting, WIFI)]]] as const)
        : []),
    ]),
    rules: [...fromRules(setting), ...wgRules(setting), ...mainRules].toSorted((a, b) => a.priority - b.priority),
  };
}

/** First preference of our rules, as the daemon finds it (`watch/foreign-rules.ts`). */
export function rulesFromOf(setting: Setting): number | undefined {
  const { layout, wgQuickLate, families } = setting;
  const takesAll = layout === 'wg-quick' && wgQuickLate && families.has('vpn');
  return takesAll ? ruleWindowBefore(RULE_PREF_LOCAL - 1) : undefined;
}

/** Families of which nobody's routes have a default. */
export function noDefaultOf(setting: Setting): readonly Family[] {
  const { tables } = machineOf(setting);
  const all = [MAIN_TABLE, WG_TABLE].flatMap((table) => tables.get(table) ?? []);
  return ([4, 6] as const).filter(
    (family) => !all.some(({ destination }) => destination.address.family === family && destination.length <= 1),
  );
}

export function uplinkStatesOf(setting: Setting): UplinkState[] {
  return UPLINK_LINKS.map(([name, link], i): UplinkState => {
    const { v4, v6 } = setting.families.get(name) ?? { v4: false, v6: false };
    return {
      name,
      id: i + 1,
      device: link.device,
      deviceIndex: link.index,
      up: v4 || v6,
      v4,
      v6,
      addresses: addressesOf(setting, link),
      onLink: onLinkOf(setting, [link]),
      gateways: { ...(v4 && { v4: address(link.v4.gateway) }), ...(v6 && { v6: address(link.v6.gateway) }) },
    };
  });
}

export function onLinkOf(setting: Setting, links: readonly Link[] = LINKS): Prefix[] {
  return links.flatMap((link) =>
    ([4, 6] as const)
      .filter((family) => carries(setting, link, family))
      .flatMap((family) => ofFamily(link, family).networks.map(prefix)),
  );
}

/** The device of which a directly connected network has the address. */
export const connectedDevice = (setting: Setting, to: Address): string | undefined =>
  LINKS.find((link) => onLinkOf(setting, [link]).some((network) => prefixContains(network, to)))?.device;
