/** `POST /v1/route`: by which way an application's connections go now, and why. All fields are plain JSON. */
import type { ExplainedUplink } from '../policy/explain.ts';
import type { Traffic } from './uplinks.ts';

export type RouteQuery = { readonly app: string } | { readonly pid: number };

/** For one family of addresses. `way`: "uplink wifi", "the system's route", "refused". */
export interface FamilyRoute {
  readonly way: string;
  readonly uplinks: readonly ExplainedUplink[];
}

export interface RuleRoute {
  /** `rule 1: allow *.example.org via ...`, `otherwise: allow`. */
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  readonly via?: string;
  /** What becomes of local destinations, where `via` has a choice: "directly connected", "refused", "as all else". */
  readonly local?: string;
  readonly v4: FamilyRoute;
  readonly v6: FamilyRoute;
}

export interface RouteReport {
  readonly app?: string;
  /** How the program was matched, or that no policy names it. */
  readonly identity: string;
  /** In the order in which rules are tried. */
  readonly rules: readonly RuleRoute[];
  /** Everything is refused, because. */
  readonly blocked?: string;
  /** What it has open now, by way. */
  readonly traffic: readonly (Traffic & { readonly way: string })[];
  readonly isCounted: boolean;
  readonly connectionsUnknown?: string;
  /** Files among those of `rules` that have a mistake: their last good version is in force, and lines are those of that version. */
  readonly lastGood?: readonly string[];
}
