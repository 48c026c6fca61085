/**
 * The way that a program's sockets are marked for when they are made, before anybody knows where they will connect: so that
 * the route, and with it the source address, is right from the start. Where a rule says otherwise the packet is routed again.
 */
import type { Family } from '../net/address.ts';
import { chooseUplink, waysOut } from '../policy/choose-uplink.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { namesLoopback } from '../policy/match-destination.ts';
import type { Via } from '../policy/model.ts';
import { appSlot } from '../policy/share-slot.ts';
import type { Host } from './host.ts';
import type { SocketWay } from './plan.ts';
import { namedPrograms, programName } from './program.ts';
import { MARK_UPLINK_SHIFT } from './reserved.ts';

/** `via` of each kind of flow that is allowed, that of most first; `undefined`: the system's route. */
function viasOf({ via, rules, otherwise }: EffectivePolicy, { systemDefault }: PolicySet): (Via | undefined)[] {
  const isRest = (otherwise?.value ?? systemDefault.otherwise).do === 'allow';
  const rest = isRest ? [via?.value ?? (otherwise === undefined ? systemDefault.via : undefined)] : [];
  const allowed = rules.filter(({ do: verb, to }) => verb === 'allow' && !to.every(namesLoopback));
  return [...rest, ...allowed.map(({ via: own }) => own ?? via?.value)];
}

/**
 * The way that all flows have that are allowed, or the first where they have several: what was routed, and got its source, for another
 * uplink is masqueraded. Where any goes by the system's route there is none: nobody has asked to translate that. But where the system
 * has no route, nothing would be sent that a hook could route.
 * `app`: '' for programs without a policy. Where connections or destinations share, most often the first guess is wrong.
 */
function bitsFor(vias: readonly (Via | undefined)[], app: string, { policySet, facts, host }: Input, family: Family) {
  const ways = vias.map((via) => {
    if (via === undefined) return { kind: 'system' } as const;
    return chooseUplink(via, family, waysOut(policySet, facts), via.share === 'app' ? appSlot(app) : undefined).way;
  });
  if (ways.some(({ kind }) => kind === 'system') && host.noDefault?.includes(family) !== true) return 0;
  const [first] = ways.flatMap((way) => (way.kind === 'uplink' ? [way.id] : []));
  return first === undefined ? 0 : first << MARK_UPLINK_SHIFT;
}

interface Input {
  readonly policySet: PolicySet;
  readonly facts: Facts;
  readonly host: Host;
}

function wayOf(vias: readonly (Via | undefined)[], app: string, input: Input): SocketWay | undefined {
  const way = { v4: bitsFor(vias, app, input, 4), v6: bitsFor(vias, app, input, 6) };
  return way.v4 === 0 && way.v6 === 0 ? undefined : way;
}

/** Only programs whose sockets have a way. */
export function compileSocketWays(
  policySet: PolicySet,
  index: AppIndex,
  facts: Facts,
  host: Host,
): ReadonlyMap<number, SocketWay> {
  const ways = new Map<number, SocketWay>();
  const { programs } = host;
  const input = { policySet, facts, host };
  if (programs === undefined || facts.uplinks.length === 0) return ways;
  const note = (number: number | undefined, way: SocketWay | undefined): void => {
    if (number !== undefined && way !== undefined) ways.set(number, way);
  };
  for (const { program, policy } of namedPrograms(index))
    note(programs.numbers.get(programName(program)), wayOf(viasOf(policy, policySet), policy.app, input));
  const { otherwise, via } = policySet.systemDefault;
  if (otherwise.do === 'allow') note(programs.none, wayOf([via], '', input));
  return ways;
}
