/**
 * The lab's name server, without its sockets: query bytes -> answer bytes (RFC 1035 section 4). It knows one small
 * zone, answers A and AAAA, and says NXDOMAIN to everything else. No compression in queries, no EDNS in answers.
 */
import type { LabHost } from './world.ts';

export interface DnsReply {
  /** As asked, lower case, without the final dot. */
  readonly question: string;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TYPE_SOA = 6;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
const RCODE_NXDOMAIN = 3;
const RCODE_NOTIMP = 4;
const QR_AA = 0x8400;
const OPCODE = 0x7800;
const RECURSION_DESIRED = 0x0100;
const TTL_SECONDS = 30;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

/** Undefined for bytes that are no query: those get no answer. */
export function answerDns(query: Uint8Array, hosts: readonly LabHost[], zone: string): DnsReply | undefined {
  const view = new DataView(query.buffer, query.byteOffset, query.byteLength);
  if (query.length < HEADER_BYTES || view.getUint16(4) !== 1) return undefined;
  const flags = view.getUint16(2);
  if ((flags & 0x8000) !== 0) return undefined;
  const name = readName(query, HEADER_BYTES);
  if (name === undefined || query.length < name.end + 4) return undefined;
  const host = hosts.find((candidate) => candidate.name === name.text);
  const known = host !== undefined || name.text === zone;
  const answer = host === undefined ? [] : records(host, view.getUint16(name.end), view.getUint16(name.end + 2));
  const rcode = (flags & OPCODE) !== 0 ? RCODE_NOTIMP : known ? 0 : RCODE_NXDOMAIN;
  // RFC 2308: the SOA of a negative answer says how long it may be remembered.
  const authority = answer.length === 0 ? [soa(zone)] : [];
  const header = new Uint8Array(HEADER_BYTES);
  const headerView = new DataView(header.buffer);
  headerView.setUint16(0, view.getUint16(0));
  headerView.setUint16(2, QR_AA | (flags & (OPCODE | RECURSION_DESIRED)) | rcode);
  headerView.setUint16(4, 1);
  headerView.setUint16(6, answer.length);
  headerView.setUint16(8, authority.length);
  const question = query.subarray(HEADER_BYTES, name.end + 4);
  return { question: name.text, bytes: Buffer.concat([header, question, ...answer, ...authority]) };
}

function readName(bytes: Uint8Array, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > MAX_LABEL_BYTES || at - start > MAX_NAME_BYTES) return undefined;
    at += 1;
    if (length === 0) return { text: labels.join('.').toLowerCase(), end: at };
    if (at + length > bytes.length) return undefined;
    labels.push(String.fromCharCode(...bytes.subarray(at, at + length)));
    at += length;
  }
}

function records(host: LabHost, type: number, dnsClass: number): readonly Uint8Array[] {
  if (dnsClass !== CLASS_IN) return [];
  if (type === TYPE_A) return [record(host.name, TYPE_A, v4Bytes(host.v4))];
  if (type === TYPE_AAAA) return [record(host.name, TYPE_AAAA, v6Bytes(host.v6))];
  return [];
}

function record(name: string, type: number, data: Uint8Array): Uint8Array {
  const owner = nameBytes(name);
  const fixed = new DataView(new ArrayBuffer(10));
  fixed.setUint16(0, type);
  fixed.setUint16(2, CLASS_IN);
  fixed.setUint32(4, TTL_SECONDS);
  fixed.setUint16(8, data.length);
  return Buffer.concat([owner, new Uint8Array(fixed.buffer), data]);
}

function soa(zone: string): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(20));
  [1, 3600, 600, 86_400, TTL_SECONDS].forEach((value, index) => {
    numbers.setUint32(index * 4, value);
  });
  const data = [nameBytes(`ns.${zone}`), nameBytes(`hostmaster.${zone}`), new Uint8Array(numbers.buffer)];
  return record(zone, TYPE_SOA, Buffer.concat(data));
}

function nameBytes(name: string): Uint8Array {
  const labels = name.split('.').map((label) => Buffer.concat([Uint8Array.of(label.length), Buffer.from(label)]));
  return Buffer.concat([...labels, Uint8Array.of(0)]);
}

function v4Bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split('.').map(Number));
}

/** Hexadecimal groups with at most one `::`, the only form the world's data uses. */
function v6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = groups(tail ?? '');
  const all = [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
