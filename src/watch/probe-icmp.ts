/** Is there somebody at this address? An ICMP echo request. */
import { randomBytes } from 'node:crypto';
import type { Address } from '../net/address.ts';
import { decodeEchoReply, encodeEchoRequest } from '../net/icmp-echo.ts';
import { askOnce, type ProbeContext, type ProbeOutcome, refusedAtOnce, withProbeSocket } from './probe.ts';

const TOKEN_BYTES = 16;
/** connect(2) of a ping socket wants one; it means nothing. */
const ANY_PORT = 1;

export function probeIcmp(target: Address, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('icmp', context, async (socket) => {
    const refused = socket.connect(target, socket.isRaw ? 0 : ANY_PORT, context.way.deviceIndex);
    if (refused !== 0) return refusedAtOnce(refused);
    const { family } = target;
    const data = randomBytes(TOKEN_BYTES);
    // A ping socket replaces the identifier by its own: the data tells.
    const request = encodeEchoRequest(family, { identifier: data.readUInt16BE(0), sequence: 1, data });
    const hasIpHeader = socket.isRaw && family === 4;
    const isAnswer = (bytes: Uint8Array): boolean => {
      const reply = decodeEchoReply(family, bytes, { hasIpHeader });
      return reply !== undefined && data.equals(reply.data);
    };
    return await askOnce(socket, request, isAnswer, context);
  });
}
