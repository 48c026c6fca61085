/**
 * Routing rules and routes of others beside ours: whose they are, where our rules have to stand because of them, and where
 * they and ours get in each other's way. Pure but for the reading; nothing of it is ever changed.
 */
import type { Routing } from '../kernel/kernel.ts';
import { isOwnRoute, isOwnRule, isOwnTable } from '../kernel/planned-routing.ts';
import { type Family, formatPrefix } from '../net/address.ts';
import { formatMark } from '../net/mark.ts';
import { type Route, RTN_THROW, RTN_UNICAST } from '../netlink/route.ts';
import { FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_TO_TBL, type RoutingRule } from '../netlink/routing-rule.ts';
import {
  MARK_APP,
  MARK_WAY,
  RULE_PREF_LAST,
  RULE_PREF_LOCAL,
  UPLINK_FIRST,
  UPLINK_LOCAL,
  wayMark,
} from '../plan/reserved.ts';
import { RULE_WINDOW_SIZE, ruleWindowBefore } from '../plan/rule-window.ts';

const FAMILIES: readonly Family[] = [4, 6];

type RoutingReader = Pick<Routing, 'rules' | 'routes'>;

/** Default routes, and halves of everything, as VPN clients add them. */
const DEFAULTS_LENGTH = 1;
const WHOLE_MARK = 0xffff_ffff;
const OUR_BITS = (MARK_WAY | MARK_APP) >>> 0;
/** `fwmark X lookup X`, its port and its table: the first tunnel has 51820, each further one the next (wg-quick(8), FwMark). */
const WG_QUICK_FIRST = 51_820;
const WG_QUICK_LAST = 51_899;

/** Where each is documented: docs/coexistence.md. */
const OWNERS: readonly { readonly owner: string; readonly has: (rule: RoutingRule) => boolean }[] = [
  { owner: 'wg-quick', has: ({ fwmark = 0, table }) => table === fwmark && isWgQuick(fwmark) },
  { owner: 'Mullvad VPN', has: ({ fwmark }) => fwmark === 0x6d6f6c65 },
  { owner: 'Tailscale', has: ({ table, priority }) => table === 52 || (priority >= 5210 && priority <= 5270) },
  { owner: 'mwan3', has: ({ fwmask }) => fwmask === 0x3f00 },
  { owner: 'Cilium', has: ({ fwmask }) => fwmask === 0xf00 },
  { owner: 'Calico', has: ({ fwmark, fwmask }) => fwmark === 0x100000 && fwmask === 0x100000 },
  { owner: 'pbr', has: ({ fwmask }) => fwmask === 0xff0000 },
  { owner: 'IPsec', has: ({ table, priority }) => table === 220 && priority === 220 },
];

function isWgQuick(mark: number): boolean {
  return mark >= WG_QUICK_FIRST && mark <= WG_QUICK_LAST;
}

/** As far as its numbers tell; `undefined` for all others. */
export function ownerOfRule(rule: RoutingRule): string | undefined {
  return OWNERS.find(({ has }) => has(rule))?.owner;
}

const foreignRules = (routing: Pick<Routing, 'rules'>): RoutingRule[] =>
  routing.rules().filter((rule) => !isOwnRule(rule));

/** It looks at where a packet goes or comes from, and takes only some of an application's. */
const isNarrow = ({ source, destination, iif, oif, selectsMore, l3mdev }: RoutingRule): boolean =>
  source !== undefined ||
  destination !== undefined ||
  oif !== undefined ||
  (iif !== undefined && iif !== 'lo') ||
  selectsMore === true ||
  l3mdev;

/** Whether packets that go by an uplink, and carry nobody else's bits, can have such a mark. */
function matchesOurMarks({ fwmark, fwmask = WHOLE_MARK, invert }: RoutingRule): boolean {
  // "not all": nothing. The kernel inverts the rule as a whole.
  if (fwmark === undefined) return !invert;
  for (let uplink = UPLINK_FIRST; uplink <= UPLINK_LOCAL; uplink += 1) {
    if ((((wayMark(uplink) ^ fwmark) & fwmask) === 0) !== invert) return true;
  }
  return false;
}

/** Whether nothing that reaches the rule gets past it, whatever its destination. */
function takesAll(rule: RoutingRule, routes: () => readonly Route[]): boolean {
  if (isNarrow(rule) || !matchesOurMarks(rule)) return false;
  if (rule.action === FR_ACT_NOP) return false;
  if (rule.action === FR_ACT_GOTO) return (rule.goto ?? 0) > RULE_PREF_LOCAL;
  if (rule.action !== FR_ACT_TO_TBL) return true;
  const shortest = (rule.suppressPrefixLength ?? -1) + 1;
  return routes().some(
    ({ family, table, destination: { length }, type }) =>
      family === rule.family &&
      table === rule.table &&
      length >= shortest &&
      length <= DEFAULTS_LENGTH &&
      type !== RTN_THROW,
  );
}

/** The first of those that come before the last of ours where that is by default. */
function firstThatTakesAll(routing: RoutingReader): RoutingRule | undefined {
  let known: readonly Route[] | undefined;
  const routes = (): readonly Route[] => {
    known ??= routing.routes();
    return known;
  };
  return foreignRules(routing)
    .filter(({ priority }) => priority <= RULE_PREF_LAST)
    .sort((a, b) => a.priority - b.priority)
    .find((rule) => takesAll(rule, routes));
}

/**
 * First preference of our rules; `undefined`: where they are by default. A policy that sends an application by an uplink says more
 * than a default route for everybody, so it comes first, whoever was started first. Throws KernelError.
 */
export function rulesFrom(routing: RoutingReader): number | undefined {
  const first = firstThatTakesAll(routing);
  return first === undefined ? undefined : ruleWindowBefore(first.priority);
}

/**
 * Families in which no route of others leads everywhere: nothing is sent there that has no way of an uplink's. What only some
 * packets see is no such route. `routes`: of all tables. Throws KernelError.
 */
export function familiesWithoutDefault(routing: Pick<Routing, 'rules'>, routes: readonly Route[]): readonly Family[] {
  const tables = foreignRules(routing).filter(
    (rule) => rule.action === FR_ACT_TO_TBL && !isNarrow(rule) && matchesOurMarks(rule),
  );
  const leadsEverywhere = (family: Family): boolean =>
    routes.some(
      ({ destination, table, type, ...route }) =>
        route.family === family &&
        type === RTN_UNICAST &&
        destination.length <= DEFAULTS_LENGTH &&
        tables.some((rule) => rule.family === family && rule.table === table && destination.length > suppressed(rule)),
    );
  return FAMILIES.filter((family) => !leadsEverywhere(family));
}

const suppressed = ({ suppressPrefixLength = -1 }: RoutingRule): number => suppressPrefixLength;

export interface RoutingConflict {
  readonly kind: 'comes first' | 'mark bits' | 'among ours' | 'in our tables';
  /** A clause without a full stop. */
  readonly text: string;
}

/** Throws KernelError. */
export function routingConflicts(routing: RoutingReader): readonly RoutingConflict[] {
  const first = firstThatTakesAll(routing);
  const from = first === undefined ? RULE_PREF_LOCAL : ruleWindowBefore(first.priority);
  const rules = new Map<string, RoutingConflict>();
  for (const rule of foreignRules(routing)) {
    const conflict = conflictOf(rule, from ?? RULE_PREF_LOCAL);
    // The same for IPv4 and IPv6 is said once.
    if (conflict !== undefined) rules.set(conflict.text, conflict);
  }
  if (from === undefined && first !== undefined) {
    const text = `${describeRule(first)} takes every packet, and there is no room for a rule before it`;
    rules.set(text, { kind: 'comes first', text });
  }
  return [...rules.values(), ...routes(routing)];
}

function conflictOf(rule: RoutingRule, from: number): RoutingConflict | undefined {
  const { fwmark, fwmask = WHOLE_MARK, priority } = rule;
  const shared = (fwmask & OUR_BITS) >>> 0;
  // Who compares the whole mark sees none of ours: the highest bit is set in all of them.
  if (fwmark !== undefined && fwmask !== WHOLE_MARK && shared !== 0) {
    const bits = `${formatMark(fwmark)}/${formatMark(fwmask)}`;
    const text = `${describeRule(rule)} tells packets by mark ${bits}, of which ${formatMark(shared)} are bits of pointsman`;
    return { kind: 'mark bits', text };
  }
  if (priority < from || priority >= from + RULE_WINDOW_SIZE) return undefined;
  return { kind: 'among ours', text: `${describeRule(rule)} stands among the rules of pointsman` };
}

function routes(routing: RoutingReader): RoutingConflict[] {
  const foreign = routing.routes().filter((route) => isOwnTable(route.table) && !isOwnRoute(route));
  return foreign.map(({ destination, table }) => ({
    kind: 'in our tables',
    text: `somebody's route to ${formatPrefix(destination)} is in table ${table}, which is pointsman's`,
  }));
}

function describeRule(rule: RoutingRule): string {
  return `routing rule ${rule.priority} (${ownerOfRule(rule) ?? 'nobody known'})`;
}
