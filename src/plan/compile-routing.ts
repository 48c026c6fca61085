/**
 * One routing table an uplink, reached by the uplink bits of the mark alone: the number of rules grows with uplinks, never
 * with applications. A packet that a table cannot route goes on to the rules behind it, still reaches the hooks and is refused
 * there: by a last `throw`, or because nothing fits.
 */
import { type Family, formatPrefix, type Prefix } from '../net/address.ts';
import { type Facts, heldAddresses, type UplinkState } from '../policy/facts.ts';
import { localNetworks } from '../policy/local-networks.ts';
import type { Host } from './host.ts';
import type { PlannedRoute, PlannedRule } from './plan.ts';
import {
  MARK_OURS,
  MARK_SOCKET,
  MARK_WAY,
  ROUTE_TABLE_BASE,
  RULE_PREF_LOCAL,
  RULE_PREF_LOCAL_UNREACHABLE,
  RULE_PREF_SOURCE,
  RULE_PREF_UPLINK,
  UPLINK_LOCAL,
  wayMark,
} from './reserved.ts';

const FAMILIES: readonly Family[] = [4, 6];
const MAIN_TABLE = 254;
const EVERYWHERE: Record<Family, Prefix> = {
  4: { address: { family: 4, value: 0n }, length: 0 },
  6: { address: { family: 6, value: 0n }, length: 0 },
};
const METRIC_ON_LINK = 1;
const METRIC_DEFAULT = 2;
/** The largest metric: everything else in the table comes first. */
const METRIC_THROW = 0xffffffff;

/** Leaves out default routes, and halves of everything (0.0.0.0/1), which are default routes in disguise. */
const DEFAULTS_LENGTH = 1;

const wayRule = (family: Family, uplink: number) => ({ family, fwmark: { mark: wayMark(uplink), mask: MARK_WAY } });

/**
 * On-link flows see the connected routes of main and nothing else: without them they are unreachable, not elsewhere.
 * Not of length 0 alone: `wg-quick down` deletes the first rule of any mark that looks up main but for prefixes of length 0.
 */
const localRules = (family: Family, from: number): PlannedRule[] => [
  {
    ...wayRule(family, UPLINK_LOCAL),
    priority: from,
    suppressPrefixLength: DEFAULTS_LENGTH,
    action: { kind: 'table', table: MAIN_TABLE },
  },
  {
    ...wayRule(family, UPLINK_LOCAL),
    priority: from + RULE_PREF_LOCAL_UNREACHABLE - RULE_PREF_LOCAL,
    action: { kind: 'unreachable' },
  },
];

/** Of all but us: what was decided has a mark that says more than its source. */
const NOT_OURS = { mark: 0, mask: MARK_OURS } as const;
/** Not decided yet, and sent by a socket that is marked. */
const UNDECIDED = { mark: MARK_SOCKET, mask: MARK_SOCKET } as const;

/**
 * What is bound to an uplink's address and has no way of its own, replies to what came in by it, and strict reverse-path checks take
 * its way. What the system's route was decided for does not: it would leave by another uplink than the system says. Where no other
 * route leads everywhere, what a marked socket answers needs this one before a hook sees it.
 */
const sourceMarks = (family: Family, noDefault: readonly Family[]): readonly NonNullable<PlannedRule['fwmark']>[] =>
  noDefault.includes(family) ? [NOT_OURS, UNDECIDED] : [NOT_OURS];

function uplinkRules(uplink: UplinkState, from: number, noDefault: readonly Family[]): PlannedRule[] {
  const { id, up } = uplink;
  const table = ROUTE_TABLE_BASE + id;
  const action = { kind: 'table', table } as const;
  const place = (preference: number): number => from + preference - RULE_PREF_LOCAL;
  const marked = FAMILIES.map((family) => ({ ...wayRule(family, id), priority: place(RULE_PREF_UPLINK + id), action }));
  const bound = (up ? heldAddresses(uplink) : []).flatMap((address) =>
    sourceMarks(address.family, noDefault).map((fwmark) => ({
      family: address.family,
      fwmark,
      from: { address, length: address.family === 4 ? 32 : 128 },
      priority: place(RULE_PREF_SOURCE),
      action,
    })),
  );
  return [...marked, ...bound];
}

/**
 * Sockets are marked for an uplink before it is known where they connect. To a network that another device is connected to,
 * main knows the way; but where it is the uplink that is to carry it there, what others send is routed again and translated.
 */
function elsewhere(
  { id, name, onLink }: UplinkState,
  { onLink: all, doubted = [] }: Facts,
  { protecting, carriers }: Taken,
): PlannedRoute[] {
  if (carriers.has(name)) return [];
  // Who protects what it sends has this very uplink carry it there.
  const own = new Set([...onLink, ...(protecting.has(name) ? doubted : [])].map(formatPrefix));
  const others = new Set(all.map(formatPrefix).filter((prefix) => !own.has(prefix)));
  return localNetworks(all)
    .filter((prefix) => others.has(formatPrefix(prefix)))
    .map((destination) => ({
      family: destination.address.family,
      table: ROUTE_TABLE_BASE + id,
      destination,
      metric: METRIC_ON_LINK,
      target: { kind: 'throw' },
    }));
}

function uplinkRoutes(uplink: UplinkState, facts: Facts, taken: Taken): PlannedRoute[] {
  const { id, up, v4, v6, deviceIndex, onLink, gateways, addresses } = uplink;
  const table = ROUTE_TABLE_BASE + id;
  // Not for IPv6: while a gateway does not answer, its route counts as less than any other, this one included (find_match in
  // net/ipv6/route.c). Nothing would be sent there any more, so that nobody would notice its coming back.
  const last: PlannedRoute[] = [
    { family: 4, table, destination: EVERYWHERE[4], metric: METRIC_THROW, target: { kind: 'throw' } },
  ];
  if (!up || deviceIndex === undefined) return last;
  const connected = onLink.map(
    (destination): PlannedRoute => ({
      family: destination.address.family,
      table,
      destination,
      metric: METRIC_ON_LINK,
      target: { kind: 'unicast', deviceIndex },
    }),
  );
  const defaults = FAMILIES.filter((family) => (family === 4 ? v4 : v6)).map((family): PlannedRoute => {
    const gateway = family === 4 ? gateways.v4 : gateways.v6;
    // IPv6 picks its own source (RFC 6724), so that privacy addresses stay in use.
    const source = family === 4 ? addresses.find((address) => address.family === 4) : undefined;
    return {
      family,
      table,
      destination: EVERYWHERE[family],
      metric: METRIC_DEFAULT,
      target: {
        kind: 'unicast',
        deviceIndex,
        ...(gateway === undefined ? {} : { gateway }),
        ...(source === undefined ? {} : { source }),
      },
    };
  });
  return [...connected, ...elsewhere(uplink, facts, taken), ...defaults, ...last];
}

/** Names of uplinks: of those that are taken by who protects what it sends, and of those that carry what is local elsewhere. */
export interface Taken {
  readonly protecting: ReadonlySet<string>;
  readonly carriers: ReadonlySet<string>;
}

/** `rulesFrom`: first preference of the window (`rule-window.ts`). */
export function compileRouting(
  facts: Facts,
  { rulesFrom = RULE_PREF_LOCAL, noDefault = [] }: Pick<Host, 'rulesFrom' | 'noDefault'>,
  taken: Taken = { protecting: new Set(), carriers: new Set() },
): {
  readonly rules: readonly PlannedRule[];
  readonly routes: readonly PlannedRoute[];
} {
  return {
    rules: [
      ...FAMILIES.flatMap((family) => localRules(family, rulesFrom)),
      ...facts.uplinks.flatMap((uplink) => uplinkRules(uplink, rulesFrom, noDefault)),
    ],
    routes: facts.uplinks.flatMap((uplink) => uplinkRoutes(uplink, facts, taken)),
  };
}
