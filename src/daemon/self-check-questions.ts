/** What the daemon asks the kernel: a datagram as each kind of program that it can send as, and what policies say of it. Pure. */
import { type Address, type Family, formatAddress, parseAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import { howTold } from '../plan/compile-identity.ts';
import { namedPrograms, programName } from '../plan/program.ts';
import { programMark } from '../plan/reserved.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import { decideAsApp } from '../policy/decide-as-app.ts';
import type { Decision } from '../policy/decision.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { factsNow, type InForce } from './in-force.ts';

/** RFC 5737 and RFC 3849: for documentation, so that nobody is there, should one ever leave. */
const NOBODY_THERE: Readonly<Record<Family, Address | undefined>> = {
  4: parseAddress('192.0.2.249'),
  6: parseAddress('2001:db8:ffff::249'),
};
/** discard (RFC 863) */
export const CHECK_PORT = 9;
/** Programs of policies that are sent as, each check the next ones. */
export const MAX_PROGRAMS = 32;

export interface Question {
  readonly as: string;
  readonly app?: string;
  readonly mark: number;
  readonly destination: Address;
  readonly text: string;
  /** Whether it comes to the end; undefined where that cannot be said now. */
  readonly passes: boolean | undefined;
}

/** `own`: the daemon, as whom everything is sent that is told by anything else than a program's number. */
export interface Asking {
  readonly inForce: InForce;
  readonly own: ProcessOwner;
  readonly nowMs: MonotonicMs;
  /** Of the programs, the first that is sent as. */
  readonly from: number;
}

interface Tier {
  readonly as: string;
  readonly app?: string;
  /** By the family of the socket. */
  readonly mark: (family: Family) => number;
  readonly decide: (flow: Flow) => Decision;
}

export function selfCheckQuestions(asking: Asking): readonly Question[] {
  const isUnsaid = isAskedForTunnel(asking);
  return tiersOf(asking).flatMap((tier) =>
    ([4, 6] as const).flatMap((family): Question[] => {
      const destination = NOBODY_THERE[family];
      if (destination === undefined) return [];
      const { as, app } = tier;
      const decision = tier.decide(flowTo(destination));
      const text = `${formatAddress(destination)} port ${CHECK_PORT}/udp`;
      const passes = isUnsaid || decision.verdict === 'queue' ? undefined : decision.verdict === 'accept';
      return [{ as, ...(app !== undefined && { app }), mark: tier.mark(family), destination, text, passes }];
    }),
  );
}

/**
 * A tunnel's holder is in no cgroup and runs as our user: while a `via` leads into it, all that this user begins is asked about
 * (`compile-held-tunnels.ts`), whatever number it has, and what the daemon sends it lets pass.
 */
const isAskedForTunnel = ({ inForce, own }: Asking): boolean =>
  (factsNow(inForce).heldTunnels ?? []).some(({ holders }) =>
    holders.some(({ uids, cgroup }) => cgroup === undefined && uids.includes(own.uid)),
  );

function tiersOf({ inForce, own, nowMs, from }: Asking): readonly Tier[] {
  const { policySet, index, host, compilation, ids } = inForce;
  const context: DecideContext = {
    policySet,
    index,
    facts: factsNow(inForce),
    nowMs,
    unknownNames: 'queue',
    missingUplink: 'queue',
  };
  const { executable: _not, ...anybody } = own;
  // Nobody has looked what it is: where programs matter, the daemon is asked, and it lets itself pass (`verdict-judge.ts`).
  const isAsked =
    howTold({ ...inForce, facts: context.facts, parts: compilation.parts, appIds: ids.apps }) !== 'directly';
  const asked: Tier = {
    as: isAsked ? 'the daemon, asked about' : 'the daemon',
    mark: () => 0,
    decide: isAsked ? () => PASSED : (flow) => decide(context, own, flow),
  };
  const { programs } = host;
  if (programs === undefined) return [asked];
  const { socketWays } = compilation.plan;
  const markOf = (number: number) => (family: Family) => {
    const way = socketWays.get(number);
    return (programMark(number) | ((family === 4 ? way?.v4 : way?.v6) ?? 0)) >>> 0;
  };
  const nobody: Tier = {
    as: 'a program that no policy names',
    mark: markOf(programs.none),
    decide: (flow) => decide(context, anybody, flow),
  };
  const named = [...namedPrograms(index)].flatMap(({ program, policy }): Tier[] => {
    const name = programName(program);
    const number = programs.numbers.get(name);
    if (number === undefined) return [];
    return [{ as: name, app: policy.app, mark: markOf(number), decide: (flow) => decideAsApp(context, policy, flow) }];
  });
  const start = named.length === 0 ? 0 : from % named.length;
  const some = [...named.slice(start), ...named.slice(0, start)].slice(0, MAX_PROGRAMS);
  return [...some, nobody, asked];
}

const PASSED: Decision = { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'daemon' } };

const flowTo = (destination: Address): Flow => ({
  protocol: IPPROTO_UDP,
  source: { family: destination.family, value: 0n },
  destination,
  destinationPort: CHECK_PORT,
  loopback: false,
});

/** Whether a flow is one of a check's own. */
export const isCheckFlow = ({ protocol, destination, destinationPort }: Flow): boolean =>
  protocol === IPPROTO_UDP &&
  destinationPort === CHECK_PORT &&
  destination.value === NOBODY_THERE[destination.family]?.value;
