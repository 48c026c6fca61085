/** What `watch` shows of a decision, whoever made it. */
import type { DecisionEvent } from '../api/event.ts';
import { formatAddress } from '../net/address.ts';
import type { WallMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { protocolName } from '../net/protocol.ts';
import type { Decision } from '../policy/decision.ts';
import { describeReason, wayName } from '../policy/describe-decision.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import type { VerdictEvent } from './verdict-loop.ts';

export function fromVerdict({ flow, owner, decision, latencyUs }: VerdictEvent, timeMs: WallMs): DecisionEvent {
  return {
    ...fromDecision('daemon', timeMs, flow, decision),
    ...(owner.kind === 'process' && whoIs(owner)),
    latencyMicroseconds: Math.round(latencyUs),
  };
}

export function whoIs({ pid, uid, executable }: ProcessOwner): Pick<DecisionEvent, 'pid' | 'uid' | 'executable'> {
  return { pid, uid, ...(executable !== undefined && { executable }) };
}

export function fromDecision(by: DecisionEvent['by'], timeMs: WallMs, flow: Flow, decision: Decision): DecisionEvent {
  return {
    kind: 'decision',
    timeMs,
    by,
    protocol: protocolName(flow.protocol),
    source: endpoint(flow.source, flow.sourcePort),
    destination: endpoint(flow.destination, flow.destinationPort),
    ...(flow.inbound && { inbound: true }),
    ...(decision.app !== undefined && { app: decision.app }),
    verdict: decision.verdict,
    ...(decision.verdict === 'reject' && { cause: decision.cause }),
    ...(decision.verdict === 'accept' && { way: wayName(decision.way) }),
    reason: describeReason(decision),
  };
}

function endpoint(address: Flow['source'], port: number | undefined): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
