/** Does somebody take a TCP connection here, or refuse it? */
import type { ProbeSocket } from '../kernel/probe-socket.ts';
import type { Address } from '../net/address.ts';
import { LOST, outcomeOfError, type ProbeContext, type ProbeOutcome, refusedAtOnce, withProbeSocket } from './probe.ts';

export function probeTcp(target: Address, port: number, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('tcp', context, (socket) => connectTcp(socket, target, port, context));
}

/** Resolves as `answered` when the connection is made. */
export async function connectTcp(
  socket: ProbeSocket,
  target: Address,
  port: number,
  { way, readiness, timeoutMs }: ProbeContext,
): Promise<ProbeOutcome> {
  const sentAtMs = performance.now();
  const refused = socket.connect(target, port, way.deviceIndex);
  if (refused !== 0) return refusedAtOnce(refused);
  if (!(await readiness.until(socket.fd, 'writable', timeoutMs))) return LOST;
  const rttMs = performance.now() - sentAtMs;
  const error = socket.takeError();
  if (error !== 0) return outcomeOfError(error, rttMs);
  return { kind: 'answered', rttMs: socket.tcpRttMs() ?? rttMs };
}
