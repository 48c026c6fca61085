/** Does this page have no content, as it should (status 204), or does somebody in between answer for it? */
import { type Address, formatAddress } from '../net/address.ts';
import { encodeHttpGet, isCaptivePortal, readHttpStatus } from '../net/http-status.ts';
import { isNotYet, LOST, outcomeOfError, type ProbeContext, type ProbeOutcome, withProbeSocket } from './probe.ts';
import { connectTcp } from './probe-tcp.ts';

const HTTP_PORT = 80;
/** The status stands in the first line. */
const MAX_RESPONSE_BYTES = 1024;

export interface HttpTarget {
  /** As the URL has it: a name, or an address. */
  readonly host: Address | string;
  readonly address: Address;
  readonly port: number;
  readonly path: string;
}

/** A connection alone is no answer: whatever is in between takes it in the name of others. */
export function probeHttp(target: HttpTarget, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('tcp', context, async (socket) => {
    const connected = await connectTcp(socket, target.address, target.port, context);
    if (connected.kind !== 'connected') return connected;
    const { rttMs } = connected;
    const sent = socket.send(encodeHttpGet(hostHeader(target), target.path));
    if (sent < 0) return outcomeOfError(-sent, rttMs);
    // The response has as long again.
    const askedAtMs = performance.now();
    const response = new Uint8Array(MAX_RESPONSE_BYTES);
    for (let length = 0; ; ) {
      const leftMs = askedAtMs + context.timeoutMs - performance.now();
      const isInTime = await context.readiness.until(socket.fd, 'readable', leftMs);
      const received = socket.receiveInto(response.subarray(length));
      if (received < 0 && isNotYet(-received) && !isInTime) return LOST;
      if (received < 0 && isNotYet(-received)) continue;
      if (received < 0) return outcomeOfError(-received, rttMs);
      length += received;
      const status = readHttpStatus(response.subarray(0, length));
      const isOver = received === 0 || length === response.length;
      if (status === undefined && !isOver) continue;
      const captivePortal = typeof status === 'number' ? isCaptivePortal(status) : undefined;
      return { kind: 'answered', rttMs, ...(captivePortal !== undefined && { captivePortal }) };
    }
  });
}

function hostHeader({ host, port }: HttpTarget): string {
  const name = typeof host === 'string' ? host : formatAddress(host);
  const inBrackets = name.includes(':') ? `[${name}]` : name;
  return port === HTTP_PORT ? inBrackets : `${inBrackets}:${port}`;
}
