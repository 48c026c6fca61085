/**
 * DNS messages: bytes to values and back (RFC 1035 section 4). Only what the daemon reads is taken apart: record data stays
 * bytes, except addresses and the name that a CNAME leads to. Names are text as in zone files (RFC 1035 section 5.1), without
 * the last dot, in lower case, since names that differ only there are equal (RFC 4343).
 */
import { type Address, addressFromBytes } from './address.ts';

export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_SOA = 6;
export const TYPE_AAAA = 28;
export const CLASS_IN = 1;
export const OPCODE_QUERY = 0;
export const RCODE_NOERROR = 0;
export const RCODE_FORMERR = 1;
export const RCODE_SERVFAIL = 2;
export const RCODE_NXDOMAIN = 3;
export const RCODE_NOTIMP = 4;

export const DNS_HEADER_BYTES = 12;
/** The length field of DNS over TCP has 16 bits. */
export const MAX_DNS_MESSAGE_BYTES = 65_535;
/** Section 3.1: a name's labels and their length octets. */
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** Nobody asks two questions at once (RFC 9619), and no answer has more than its query. */
export const MAX_QUESTIONS = 1;
/** A record has 11 bytes at least; a message of honest servers has a few dozen. */
export const MAX_RECORDS = 1024;
/** An honest name has one pointer or two; a chain of them costs its reader as much as its writer likes. */
export const MAX_POINTERS_PER_MESSAGE = 4096;
/** Without compression a message could not say more. */
export const MAX_NAME_BYTES_PER_MESSAGE = 65_535;
const POINTER = 0xc0;
const POINTER_OFFSET = 0x3fff;
const RECORD_FIXED_BYTES = 10;
const QUESTION_FIXED_BYTES = 4;

const FLAG_RESPONSE = 0x8000;
const OPCODE_SHIFT = 11;
const OPCODE_MASK = 0xf;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const RCODE_MASK = 0xf;

/** The bytes are no DNS message, or end before it does. */
export class DnsMessageError extends Error {
  override readonly name = 'DnsMessageError';
}

export interface DnsHeader {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly rcode: number;
}

export interface DnsQuestion {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** `address`: of A and AAAA in class IN. `target`: of CNAME in class IN. */
export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly data: Uint8Array;
  readonly address?: Address;
  readonly target?: string;
}

export interface DnsMessage extends DnsHeader {
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
}

/** What its names have cost the reader of a message. */
export interface NameWork {
  pointers: number;
  bytes: number;
}

/** Header and question: all that a query has to have read. Throws DnsMessageError. */
export function decodeDnsQuestions(bytes: Uint8Array): DnsHeader & Pick<DnsMessage, 'questions'> {
  const { end: _, ...head } = decodeHead(viewOf(bytes), { pointers: 0, bytes: 0 });
  return head;
}

/**
 * Header, question and answers; what is behind them is not looked at. Throws DnsMessageError, also for a message whose names
 * are more work than an honest one's: `work` counts it.
 */
export function decodeDnsMessage(bytes: Uint8Array, work: NameWork = { pointers: 0, bytes: 0 }): DnsMessage {
  const view = viewOf(bytes);
  const { end, ...head } = decodeHead(view, work);
  const count = view.getUint16(6);
  if (count > MAX_RECORDS) throw new DnsMessageError(`${count} answers`);
  const answers: DnsRecord[] = [];
  let offset = end;
  for (let i = 0; i < count; i += 1) {
    const record = decodeRecord(view, offset, work);
    answers.push(record.value);
    offset = record.end;
  }
  return { ...head, answers };
}

function viewOf(bytes: Uint8Array): DataView {
  if (bytes.length < DNS_HEADER_BYTES || bytes.length > MAX_DNS_MESSAGE_BYTES)
    throw new DnsMessageError(`${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeHead(
  view: DataView,
  work: NameWork,
): DnsHeader & Pick<DnsMessage, 'questions'> & { readonly end: number } {
  const flags = view.getUint16(2);
  const count = view.getUint16(4);
  if (count > MAX_QUESTIONS) throw new DnsMessageError(`${count} questions`);
  const questions: DnsQuestion[] = [];
  let offset = DNS_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    const { text: name, end } = decodeName(view, offset, work);
    requireBytes(view, end, QUESTION_FIXED_BYTES);
    questions.push({ name, type: view.getUint16(end), class: view.getUint16(end + 2) });
    offset = end + QUESTION_FIXED_BYTES;
  }
  return {
    id: view.getUint16(0),
    isResponse: (flags & FLAG_RESPONSE) !== 0,
    opcode: (flags >> OPCODE_SHIFT) & OPCODE_MASK,
    isAuthoritative: (flags & FLAG_AUTHORITATIVE) !== 0,
    isTruncated: (flags & FLAG_TRUNCATED) !== 0,
    recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
    recursionAvailable: (flags & FLAG_RECURSION_AVAILABLE) !== 0,
    rcode: flags & RCODE_MASK,
    questions,
    end: offset,
  };
}

function decodeRecord(
  view: DataView,
  offset: number,
  work: NameWork,
): { readonly value: DnsRecord; readonly end: number } {
  const { text: name, end } = decodeName(view, offset, work);
  requireBytes(view, end, RECORD_FIXED_BYTES);
  const type = view.getUint16(end);
  const dnsClass = view.getUint16(end + 2);
  const ttlSeconds = view.getUint32(end + 4);
  const length = view.getUint16(end + 8);
  const start = end + RECORD_FIXED_BYTES;
  requireBytes(view, start, length);
  const data = new Uint8Array(view.buffer, view.byteOffset + start, length);
  const value: DnsRecord = {
    name,
    type,
    class: dnsClass,
    // RFC 2181 section 8: the most significant bit set counts as zero.
    ttlSeconds: ttlSeconds > 0x7fffffff ? 0 : ttlSeconds,
    data,
    ...(dnsClass === CLASS_IN && meaningOf(view, type, start, data, work)),
  };
  return { value, end: start + length };
}

function meaningOf(
  view: DataView,
  type: number,
  start: number,
  data: Uint8Array,
  work: NameWork,
): Pick<DnsRecord, 'address' | 'target'> {
  if (type === TYPE_A && data.length === 4) return { address: addressFromBytes(data) };
  if (type === TYPE_AAAA && data.length === 16) return { address: addressFromBytes(data) };
  if (type === TYPE_CNAME) return { target: decodeName(view, start, work).text };
  return {};
}

function requireBytes(view: DataView, offset: number, length: number): void {
  if (offset + length > view.byteLength) throw new DnsMessageError(`ends before byte ${offset + length}`);
}

/** `end`: where what follows the name starts. Pointers lead backwards only (section 4.1.4), so there is no circle. */
function decodeName(view: DataView, start: number, work: NameWork): { readonly text: string; readonly end: number } {
  const labels: string[] = [];
  let size = 1;
  let offset = start;
  let lowest = start;
  let end: number | undefined;
  for (;;) {
    requireBytes(view, offset, 1);
    const length = view.getUint8(offset);
    if (length === 0) break;
    if ((length & POINTER) === POINTER) {
      requireBytes(view, offset, 2);
      end ??= offset + 2;
      work.pointers += 1;
      if (work.pointers > MAX_POINTERS_PER_MESSAGE) throw new DnsMessageError('too many pointers');
      offset = view.getUint16(offset) & POINTER_OFFSET;
      if (offset >= lowest) throw new DnsMessageError('a name that leads forward');
      lowest = offset;
      continue;
    }
    if (length > MAX_LABEL_BYTES) throw new DnsMessageError(`a label of kind ${length >> 6}`);
    size += length + 1;
    if (size > MAX_NAME_BYTES) throw new DnsMessageError('a name of more than 255 bytes');
    work.bytes += length + 1;
    if (work.bytes > MAX_NAME_BYTES_PER_MESSAGE) throw new DnsMessageError('names too long in all');
    requireBytes(view, offset + 1, length);
    labels.push(labelText(new Uint8Array(view.buffer, view.byteOffset + offset + 1, length)));
    offset += length + 1;
  }
  return { text: labels.join('.'), end: end ?? offset + 1 };
}

const isPlain = (byte: number): boolean => byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;

function labelText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    if (isPlain(byte)) text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
    else
      text += byte === 0x2e || byte === 0x5c ? `\\${String.fromCharCode(byte)}` : `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}

/** What a name in text looks like in a message, without compression. Throws RangeError for text that is no name. */
export function encodeDnsName(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const label of labelsOf(text)) {
    if (label.length === 0 || label.length > MAX_LABEL_BYTES) throw new RangeError(`no DNS name: ${text}`);
    bytes.push(label.length, ...label);
  }
  bytes.push(0);
  if (bytes.length > MAX_NAME_BYTES) throw new RangeError(`no DNS name: ${text}`);
  return Uint8Array.from(bytes);
}

const ESCAPE = /^\\(?:(\d{3})|([^\d]))/;

function labelsOf(text: string): number[][] {
  if (text === '') return [];
  const labels: number[][] = [[]];
  for (let i = 0; i < text.length; i += 1) {
    const escaped = ESCAPE.exec(text.slice(i, i + 4));
    const unit = escaped === null ? text.charCodeAt(i) : Number(escaped[1] ?? escaped[2]?.charCodeAt(0));
    if (unit > 0xff || (escaped === null && text[i] === '\\')) throw new RangeError(`no DNS name: ${text}`);
    if (escaped === null && text[i] === '.') labels.push([]);
    else labels.at(-1)?.push(unit);
    i += (escaped?.[0].length ?? 1) - 1;
  }
  return labels;
}

export interface DnsMessageParts extends DnsHeader {
  readonly questions: readonly DnsQuestion[];
  readonly answers?: readonly Omit<DnsRecord, 'address' | 'target'>[];
  readonly authorities?: readonly Omit<DnsRecord, 'address' | 'target'>[];
}

/** Without compression. Throws RangeError for names that are none, and for what is longer than a message can be. */
export function encodeDnsMessage(parts: DnsMessageParts): Uint8Array {
  const { questions, answers = [], authorities = [] } = parts;
  const header = new DataView(new ArrayBuffer(DNS_HEADER_BYTES));
  header.setUint16(0, parts.id);
  header.setUint16(2, flagsOf(parts));
  header.setUint16(4, questions.length);
  header.setUint16(6, answers.length);
  header.setUint16(8, authorities.length);
  const message = concatenate([
    new Uint8Array(header.buffer),
    ...questions.flatMap(encodeQuestion),
    ...[...answers, ...authorities].flatMap(encodeRecord),
  ]);
  if (message.length > MAX_DNS_MESSAGE_BYTES) throw new RangeError(`${message.length} bytes are no DNS message`);
  return message;
}

const flagsOf = (header: DnsHeader): number =>
  (header.isResponse ? FLAG_RESPONSE : 0) |
  (header.opcode << OPCODE_SHIFT) |
  (header.isAuthoritative ? FLAG_AUTHORITATIVE : 0) |
  (header.isTruncated ? FLAG_TRUNCATED : 0) |
  (header.recursionDesired ? FLAG_RECURSION_DESIRED : 0) |
  (header.recursionAvailable ? FLAG_RECURSION_AVAILABLE : 0) |
  header.rcode;

function encodeQuestion({ name, type, class: dnsClass }: DnsQuestion): Uint8Array[] {
  const fixed = new DataView(new ArrayBuffer(QUESTION_FIXED_BYTES));
  fixed.setUint16(0, type);
  fixed.setUint16(2, dnsClass);
  return [encodeDnsName(name), new Uint8Array(fixed.buffer)];
}

function encodeRecord({
  name,
  type,
  class: dnsClass,
  ttlSeconds,
  data,
}: Omit<DnsRecord, 'address' | 'target'>): Uint8Array[] {
  const fixed = new DataView(new ArrayBuffer(RECORD_FIXED_BYTES));
  fixed.setUint16(0, type);
  fixed.setUint16(2, dnsClass);
  fixed.setUint32(4, ttlSeconds);
  fixed.setUint16(8, data.length);
  return [encodeDnsName(name), new Uint8Array(fixed.buffer), data];
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** The same message under another id: everything else stays as it is, to the byte. */
export function withDnsId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint16(0, id);
  return copy;
}
