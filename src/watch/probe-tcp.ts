/** Does somebody take a TCP connection here, or refuse it? */
import type { ProbeSocket } from '../kernel/probe-socket.ts';
import type { Address } from '../net/address.ts';
import { LOST, outcomeOfError, type ProbeContext, type ProbeOutcome, refusedAtOnce, withProbeSocket } from './probe.ts';

export function probeTcp(target: Address, port: number, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('tcp', context, async (socket) => {
    const outcome = await connectTcp(socket, target, port, context);
    return outcome.kind === 'connected' ? { ...outcome, kind: 'answered' } : outcome;
  });
}

interface Connected {
  readonly kind: 'connected';
  readonly rttMs: number;
}

/** A refusal is `answered`, and no connection. */
export async function connectTcp(
  socket: ProbeSocket,
  target: Address,
  port: number,
  { way, readiness, timeoutMs }: ProbeContext,
): Promise<ProbeOutcome | Connected> {
  const sentAtMs = performance.now();
  const refused = socket.connect(target, port, way.deviceIndex);
  if (refused !== 0) return refusedAtOnce(refused);
  if (!(await readiness.until(socket.fd, 'writable', timeoutMs))) return LOST;
  const rttMs = performance.now() - sentAtMs;
  const error = socket.takeError();
  if (error !== 0) return outcomeOfError(error, rttMs);
  return { kind: 'connected', rttMs: socket.tcpRttMs() ?? rttMs };
}
