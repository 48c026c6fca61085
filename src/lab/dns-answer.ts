/**
 * The lab's name server, without its sockets: query bytes -> answer bytes. It knows one small zone, answers A and AAAA, and
 * says NXDOMAIN to everything else. No EDNS in answers.
 */
import { addressToBytes, parseAddress } from '../net/address.ts';
import {
  CLASS_IN,
  DnsMessageError,
  type DnsQuestion,
  type DnsRecord,
  decodeDnsQuestions,
  encodeDnsMessage,
  encodeDnsName,
  OPCODE_QUERY,
  RCODE_NOERROR,
  RCODE_NOTIMP,
  RCODE_NXDOMAIN,
  TYPE_A,
  TYPE_AAAA,
  TYPE_SOA,
} from '../net/dns-message.ts';
import type { LabHost } from './world.ts';

export interface DnsReply {
  /** As asked, lower case, without the final dot. */
  readonly question: string;
  readonly bytes: Uint8Array;
}

const TTL_SECONDS = 30;
const NO_RECORDS: readonly DnsRecord[] = [];

/** Undefined for bytes that are no query: those get no answer. */
export function answerDns(query: Uint8Array, hosts: readonly LabHost[], zone: string): DnsReply | undefined {
  const asked = questionsOf(query);
  const [question, ...others] = asked?.questions ?? [];
  if (asked === undefined || asked.isResponse || question === undefined || others.length > 0) return undefined;
  const host = hosts.find((candidate) => candidate.name === question.name);
  const isKnown = host !== undefined || question.name === zone;
  const answers = host === undefined ? NO_RECORDS : records(host, question);
  const bytes = encodeDnsMessage({
    ...asked,
    isResponse: true,
    isAuthoritative: true,
    isTruncated: false,
    recursionAvailable: false,
    rcode: asked.opcode !== OPCODE_QUERY ? RCODE_NOTIMP : isKnown ? RCODE_NOERROR : RCODE_NXDOMAIN,
    answers,
    // RFC 2308: the SOA of a negative answer says how long it may be remembered.
    authorities: answers.length === 0 ? [soa(zone)] : [],
  });
  return { question: question.name, bytes };
}

function questionsOf(query: Uint8Array): ReturnType<typeof decodeDnsQuestions> | undefined {
  try {
    return decodeDnsQuestions(query);
  } catch (error) {
    if (error instanceof DnsMessageError) return undefined;
    throw error;
  }
}

function records({ name, v4, v6 }: LabHost, { type, class: dnsClass }: DnsQuestion): readonly DnsRecord[] {
  const text = type === TYPE_A ? v4 : type === TYPE_AAAA ? v6 : '';
  const address = parseAddress(text);
  if (dnsClass !== CLASS_IN || address === undefined) return NO_RECORDS;
  return [{ name, type, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data: addressToBytes(address) }];
}

function soa(zone: string): DnsRecord {
  const numbers = new DataView(new ArrayBuffer(20));
  [1, 3600, 600, 86_400, TTL_SECONDS].forEach((value, index) => {
    numbers.setUint32(index * 4, value);
  });
  const names = [encodeDnsName(`ns.${zone}`), encodeDnsName(`hostmaster.${zone}`)];
  const data = Buffer.concat([...names, new Uint8Array(numbers.buffer)]);
  return { name: zone, type: TYPE_SOA, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data };
}
