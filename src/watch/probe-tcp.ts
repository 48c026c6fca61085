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
  await readiness.until(socket.fd, 'writable', timeoutMs);
  const elapsedMs = performance.now() - sentAtMs;
  const error = socket.takeError();
  if (error !== 0) return outcomeOfError(error, elapsedMs);
  // Whether it was in time does not matter: a daemon that was busy finds the time over and the connection made.
  const { isConnected, rttMs = elapsedMs } = socket.tcpState();
  return isConnected ? { kind: 'connected', rttMs } : LOST;
}
