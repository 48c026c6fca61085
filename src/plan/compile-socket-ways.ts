/**
 * The way that a program's sockets are marked for when they are made, before anybody knows where they will connect: so that
 * the route, and with it the source address, is right from the start. Where a rule says otherwise the packet is routed again.
 */
import type { Family } from '../net/address.ts';
import { chooseUplink, waysOut } from '../policy/choose-uplink.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { AppIndex } from '../policy/match-app.ts';
import type { Via } from '../policy/model.ts';
import { appSlot } from '../policy/share-slot.ts';
import type { Host } from './host.ts';
import type { SocketWay } from './plan.ts';
import { namedPrograms, programName } from './program.ts';
import { MARK_UPLINK_SHIFT } from './reserved.ts';

/** Of several choices the one that most destinations have. */
function usualVia(policy: EffectivePolicy, { systemDefault }: PolicySet): Via | undefined {
  if (policy.via !== undefined) return policy.via.value;
  const rest = policy.otherwise?.value ?? systemDefault.otherwise;
  const ofRules = policy.rules.find(({ do: verb, via }) => verb === 'allow' && via !== undefined)?.via;
  if (rest.do !== 'allow') return ofRules;
  return policy.otherwise === undefined ? (systemDefault.via ?? ofRules) : ofRules;
}

/** `app`: '' for programs without a policy. Where connections or destinations share, most often the first guess is wrong. */
function wayOf(via: Via | undefined, app: string, policySet: PolicySet, facts: Facts): SocketWay | undefined {
  if (via === undefined) return undefined;
  const slot = via.share === 'app' ? appSlot(app) : undefined;
  const bits = (family: Family): number => {
    const { way } = chooseUplink(via, family, waysOut(policySet, facts), slot);
    return way.kind === 'uplink' ? way.id << MARK_UPLINK_SHIFT : 0;
  };
  const way = { v4: bits(4), v6: bits(6) };
  return way.v4 === 0 && way.v6 === 0 ? undefined : way;
}

/** Only programs whose sockets have a way. */
export function compileSocketWays(
  policySet: PolicySet,
  index: AppIndex,
  facts: Facts,
  { programs }: Host,
): ReadonlyMap<number, SocketWay> {
  const ways = new Map<number, SocketWay>();
  if (programs === undefined || facts.uplinks.length === 0) return ways;
  const note = (number: number | undefined, way: SocketWay | undefined): void => {
    if (number !== undefined && way !== undefined) ways.set(number, way);
  };
  for (const { program, policy } of namedPrograms(index))
    note(programs.numbers.get(programName(program)), wayOf(usualVia(policy, policySet), policy.app, policySet, facts));
  const { otherwise, via } = policySet.systemDefault;
  if (otherwise.do === 'allow') note(programs.none, wayOf(via, '', policySet, facts));
  return ways;
}
