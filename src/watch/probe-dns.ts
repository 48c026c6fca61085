/** Does this DNS server answer? Whatever it says. */
import { randomInt } from 'node:crypto';
import type { Address } from '../net/address.ts';
import { isAnswerTo } from '../net/dns-answer.ts';
import {
  CLASS_IN,
  type DnsHeader,
  DnsMessageError,
  type DnsMessageParts,
  decodeDnsQuestions,
  encodeDnsMessage,
  OPCODE_QUERY,
  RCODE_NOERROR,
  TYPE_A,
} from '../net/dns-message.ts';
import { askOnce, type ProbeContext, type ProbeOutcome, refusedAtOnce, withProbeSocket } from './probe.ts';

const DNS_PORT = 53;
const IDS = 0x10000;
const HEADER: Omit<DnsHeader, 'id'> = {
  isResponse: false,
  opcode: OPCODE_QUERY,
  isAuthoritative: false,
  isTruncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  rcode: RCODE_NOERROR,
};

export function probeDns(server: Address, name: string, context: ProbeContext): Promise<ProbeOutcome> {
  return withProbeSocket('udp', context, async (socket) => {
    const refused = socket.connect(server, DNS_PORT, context.way.deviceIndex);
    if (refused !== 0) return refusedAtOnce(refused);
    const query = { ...HEADER, id: randomInt(IDS), questions: [{ name, type: TYPE_A, class: CLASS_IN }] };
    return await askOnce(socket, encodeDnsMessage(query), (bytes) => answers(query, bytes), context);
  });
}

/** What the answer says does not matter here, so its records are not read. */
function answers(query: DnsMessageParts, bytes: Uint8Array): boolean {
  try {
    return isAnswerTo(query, decodeDnsQuestions(bytes));
  } catch (error) {
    if (error instanceof DnsMessageError) return false;
    throw error;
  }
}
