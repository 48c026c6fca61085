/**
 * What a server says to bytes for which it has no answer. Nothing is encoded anew: header and question are the query's own
 * bytes, so that there is no query whose refusal could not be written.
 */
import {
  DNS_HEADER_BYTES,
  DnsMessageError,
  decodeDnsQuestions,
  encodeDnsName,
  OPCODE_QUERY,
  RCODE_FORMERR,
  RCODE_NOTIMP,
} from './dns-message.ts';

const FLAGS_OFFSET = 2;
const QUESTION_COUNT_OFFSET = 4;
const QUESTION_FIXED_BYTES = 4;
const FLAG_RESPONSE = 0x8000;
const FLAG_RECURSION_AVAILABLE = 0x0080;
/** Of the query's flags, opcode and "recursion desired" are said again. */
const FLAGS_KEPT = 0x7900;
const RCODE_MASK = 0xf;

/** What to do with bytes that came where queries come. */
export type QueryForm =
  | { readonly kind: 'query' }
  | { readonly kind: 'refused'; readonly rcode: number }
  /** Answers, which are never answered (two servers would go on for ever), and what has no header. */
  | { readonly kind: 'ignored' };

/** One question in plain words, and nothing else, is a query (RFC 9619); what stands behind it, such as EDNS, is the resolver's. */
export function queryForm(bytes: Uint8Array): QueryForm {
  if (!isAnswerable(bytes)) return { kind: 'ignored' };
  try {
    const { opcode, isTruncated } = decodeDnsQuestions(bytes);
    if (opcode !== OPCODE_QUERY) return { kind: 'refused', rcode: RCODE_NOTIMP };
    if (isTruncated || plainQuestion(bytes) === undefined) return { kind: 'refused', rcode: RCODE_FORMERR };
    return { kind: 'query' };
  } catch (error) {
    if (error instanceof DnsMessageError) return { kind: 'refused', rcode: RCODE_FORMERR };
    throw error;
  }
}

/** Undefined for what gets no answer from anybody. A question that cannot be read is not said again. */
export function dnsFailure(query: Uint8Array, rcode: number): Uint8Array | undefined {
  if (!isAnswerable(query)) return undefined;
  const question = plainQuestion(query) ?? new Uint8Array(0);
  const failure = new Uint8Array(DNS_HEADER_BYTES + question.length);
  failure.set(query.subarray(0, DNS_HEADER_BYTES));
  failure.set(question, DNS_HEADER_BYTES);
  const header = new DataView(failure.buffer);
  const kept = header.getUint16(FLAGS_OFFSET) & FLAGS_KEPT;
  header.setUint16(FLAGS_OFFSET, kept | FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | (rcode & RCODE_MASK));
  failure.fill(0, QUESTION_COUNT_OFFSET, DNS_HEADER_BYTES);
  header.setUint16(QUESTION_COUNT_OFFSET, question.length === 0 ? 0 : 1);
  return failure;
}

const isAnswerable = (bytes: Uint8Array): boolean =>
  bytes.length >= DNS_HEADER_BYTES && (viewOf(bytes).getUint16(FLAGS_OFFSET) & FLAG_RESPONSE) === 0;

/** The one question as it was written, in its own capitals; undefined where there is none, or its name leads elsewhere. */
function plainQuestion(query: Uint8Array): Uint8Array | undefined {
  try {
    const [question] = decodeDnsQuestions(query).questions;
    if (question === undefined) return undefined;
    const name = encodeDnsName(question.name);
    const written = query.subarray(DNS_HEADER_BYTES, DNS_HEADER_BYTES + name.length + QUESTION_FIXED_BYTES);
    return isWrittenSo(written, name) ? written : undefined;
  } catch (error) {
    if (error instanceof DnsMessageError) return undefined;
    throw error;
  }
}

/** Where a label should stand, no pointer does. */
function isWrittenSo(written: Uint8Array, name: Uint8Array): boolean {
  for (let at = 0; ; at += (name[at] ?? 0) + 1) {
    if (written[at] !== name[at]) return false;
    if (name[at] === 0) return true;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
