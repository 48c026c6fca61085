/**
 * A machine as plain data, as far as it decides by which device and with which source address a packet leaves: devices, routing
 * tables, routing rules. `packet-way.ts` sends packets through it.
 */
import type { Address, Family, Prefix } from '../../net/address.ts';
import type { Plan } from '../plan.ts';

export const MAIN_TABLE = 254;
export const LOOPBACK_DEVICE = 'lo';

export interface Device {
  readonly name: string;
  readonly index: number;
  /** The first of a family is what IPv4 takes for a source by default. */
  readonly addresses: readonly Address[];
}

export interface Route {
  readonly destination: Prefix;
  readonly metric: number;
  readonly target:
    | { readonly kind: 'unicast'; readonly device: string; readonly gateway?: Address; readonly source?: Address }
    | { readonly kind: 'throw' };
}

/** An entry of the routing policy database, of whomever. */
export interface RoutingRule {
  readonly family: Family;
  readonly priority: number;
  /** The whole selector is turned round. */
  readonly invert?: true;
  readonly fwmark?: { readonly mark: number; readonly mask: number };
  readonly from?: Prefix;
  readonly suppressPrefixLength?: number;
  readonly action: { readonly kind: 'table'; readonly table: number } | { readonly kind: 'unreachable' };
}

export interface Machine {
  readonly devices: readonly Device[];
  readonly tables: ReadonlyMap<number, readonly Route[]>;
  /** In the order of their priorities; `lookup local` is not among them. */
  readonly rules: readonly RoutingRule[];
}

const RULE_MAIN = 32_766;
/** The kernel's own, of an empty table 253 no less. */
export const mainRules: readonly RoutingRule[] = ([4, 6] as const).map((family) => ({
  family,
  priority: RULE_MAIN,
  action: { kind: 'table', table: MAIN_TABLE },
}));

/** With the rules and routes of a plan. Of equal priority what was there comes first. */
export function withPlan(machine: Machine, plan: Pick<Plan, 'rules' | 'routes'>): Machine {
  const names = new Map(machine.devices.map(({ index, name }) => [index, name]));
  const tables = new Map(machine.tables);
  for (const { table, destination, metric, target } of plan.routes) {
    if (target.kind === 'throw') {
      tables.set(table, [...(tables.get(table) ?? []), { destination, metric, target }]);
      continue;
    }
    const { deviceIndex, ...rest } = target;
    const device = names.get(deviceIndex);
    if (device === undefined) continue;
    tables.set(table, [...(tables.get(table) ?? []), { destination, metric, target: { ...rest, device } }]);
  }
  const rules = [...machine.rules, ...plan.rules].toSorted((a, b) => a.priority - b.priority);
  return { ...machine, tables, rules };
}
