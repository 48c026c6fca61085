/** `route`: the same for the daemon and for the command line. Pure. */
import type { FamilyRoute, RouteReport, RuleRoute } from '../api/route.ts';
import type { DecideContext } from '../policy/decide.ts';
import type { UplinkChoice } from '../policy/decision.ts';
import { describeVia, describeWay } from '../policy/describe-decision.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import { identityOf, policyOf, ruleText, type Subject } from '../policy/explain.ts';
import type { Facts } from '../policy/facts.ts';
import { protects } from '../policy/local-networks.ts';
import type { Via } from '../policy/model.ts';
import { type AppWay, waysOfApp } from '../policy/ways-of-app.ts';
import { lastGoodAmong } from './last-good-among.ts';
import type { LiveTraffic, WayTraffic } from './live-traffic.ts';

export interface RouteSources {
  readonly context: DecideContext;
  readonly live: LiveTraffic | { readonly unknown: string };
  readonly isCounted: boolean;
  /** Files whose last good version is in force. */
  readonly lastGood?: readonly string[];
}

const NO_POLICY = 'no policy';

export function routeReport({ context, live, isCounted, lastGood = [] }: RouteSources, subject: Subject): RouteReport {
  const policy = policyOf(context, subject);
  const rules = waysOfApp(context, policy).map((way) => ruleRoute(way, policy, context.facts));
  return {
    ...(policy !== undefined && { app: policy.app }),
    identity: identityOf(context, subject),
    rules,
    ...(policy?.blocked !== undefined && { blocked: policy.blocked.because }),
    traffic: 'unknown' in live ? [] : trafficOf(context, live, policy?.app ?? NO_POLICY),
    isCounted,
    ...('unknown' in live && { connectionsUnknown: live.unknown }),
    ...lastGoodAmong(
      rules.map(({ file }) => file),
      lastGood,
    ),
  };
}

function ruleRoute(way: AppWay, policy: EffectivePolicy | undefined, facts: Facts): RuleRoute {
  const { at, via, choices, do: verb } = way;
  return {
    rule: ruleTextOf(way, policy),
    file: at.file,
    line: at.line,
    ...(via !== undefined && { via: describeVia(via) }),
    ...(via !== undefined && verb === 'allow' && { local: localWay(via, facts) }),
    v4: familyRoute(way, choices?.v4),
    v6: familyRoute(way, choices?.v6),
  };
}

function localWay(via: Via, { doubted = [] }: Facts): string {
  if (via.local !== undefined) return via.local === 'block' ? 'refused' : 'as all else';
  const isDoubted = doubted.length > 0 && protects(via);
  return `directly connected${isDoubted ? ', but for networks that only their own routers vouch for: as all else' : ''}`;
}

function ruleTextOf({ rule, do: verb }: AppWay, policy: EffectivePolicy | undefined): string {
  if (typeof rule !== 'number') return rule === 'otherwise' ? `otherwise: ${verb}` : `system default: ${verb}`;
  const of = policy?.rules[rule];
  if (of === undefined) return `rule ${rule + 1}: ${verb}`;
  const { via: _, ...withoutVia } = of;
  return `rule ${rule + 1}: ${ruleText(withoutVia)}`;
}

function familyRoute({ do: verb }: AppWay, choice: UplinkChoice | undefined): FamilyRoute {
  if (verb !== 'allow') return { way: verb === 'deny' ? 'refused' : 'dropped', uplinks: [] };
  if (choice === undefined) return { way: describeWay({ kind: 'system' }), uplinks: [] };
  const way = choice.way.kind === 'none' ? 'refused: no uplink will do' : describeWay(choice.way);
  return { way, uplinks: choice.considered };
}

function trafficOf({ facts }: DecideContext, live: LiveTraffic, app: string): RouteReport['traffic'] {
  const of = (way: string, { byApp }: WayTraffic): RouteReport['traffic'] =>
    byApp.filter((each) => each.app === app).map(({ app: _, ...traffic }) => ({ way, ...traffic }));
  return [
    ...[...live.byUplink].flatMap(([id, traffic]) =>
      of(`uplink ${facts.uplinks.find((uplink) => uplink.id === id)?.name ?? id}`, traffic),
    ),
    ...[...live.byOther].flatMap(([way, traffic]) => of(way, traffic)),
  ];
}
