/** Does this DNS server answer? Whatever it says. */
import { randomInt } from 'node:crypto';
import type { Address } from '../net/address.ts';
import { encodeDnsQuestion, isDnsResponseTo } from '../net/dns-question.ts';
import { askOnce, type ProbeContext, type ProbeOutcome, refusedAtOnce, withProbeSocket } from './probe.ts';

const DNS_PORT = 53;
const IDS = 0x10000;

export function probeDns(server: Address, name: string, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('udp', context, async (socket) => {
    const refused = socket.connect(server, DNS_PORT, context.way.deviceIndex);
    if (refused !== 0) return refusedAtOnce(refused);
    const question = encodeDnsQuestion(randomInt(IDS), name);
    return await askOnce(socket, question, (bytes) => isDnsResponseTo(question, bytes), context);
  });
}
