/** One step from what the kernel holds to what it should hold. A list of them is in a safe order: make before break. */
import type { NftCommand } from './nft/command.ts';
import type { Plan, PlannedRoute, PlannedRule, XtablesQueue } from './plan.ts';

export type Change =
  | { readonly kind: 'add route'; readonly route: PlannedRoute }
  | { readonly kind: 'delete route'; readonly route: PlannedRoute }
  | { readonly kind: 'add rule'; readonly rule: PlannedRule }
  | { readonly kind: 'delete rule'; readonly rule: PlannedRule }
  | { readonly kind: 'add xtables queue'; readonly queue: XtablesQueue }
  | { readonly kind: 'delete xtables queue'; readonly queue: XtablesQueue }
  /** All others have none from then on. */
  | { readonly kind: 'set socket ways'; readonly ways: Plan['socketWays'] }
  /** Atomic. */
  | { readonly kind: 'nft'; readonly commands: readonly NftCommand[] };
