/**
 * What accounting reads of a conntrack entry, in place and without making an object: every connection that ends goes through here.
 * `conntrack.ts` reads the whole entry.
 */
import { align4, attributeLengthAt, NLA_HDRLEN, NLA_TYPE_MASK } from './attribute.ts';
import { readU16, readU32Be } from './bytes.ts';
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_ID,
  CTA_MARK,
  CTA_STATUS,
} from './conntrack.ts';
import { DecodeError } from './errors.ts';
import { NFGENMSG_BYTES } from './nfnetlink.ts';

const HIGH_WORD = 2 ** 32;
const NOWHERE = -1;

/** `net.netfilter.nf_conntrack_acct`'s counters of one direction. Beyond 2^53 the nearest number that there is. */
export interface DirectionCounts {
  packets: number;
  bytes: number;
}

/** Filled anew by each `readConntrackCounts`: what the message does not have is 0. */
export interface ConntrackCounts {
  id: number;
  mark: number;
  /** Bits IPS_*. */
  status: number;
  /** Whether there are counters of both directions. */
  isCounted: boolean;
  readonly original: DirectionCounts;
  readonly reply: DirectionCounts;
}

export function newConntrackCounts(): ConntrackCounts {
  const nothing = (): DirectionCounts => ({ packets: 0, bytes: 0 });
  return { id: 0, mark: 0, status: 0, isCounted: false, original: nothing(), reply: nothing() };
}

/** Of the message body (`struct nfgenmsg` and attributes) from `start` to before `end`. Throws DecodeError. */
export function readConntrackCounts(bytes: Uint8Array, start: number, end: number, into: ConntrackCounts): void {
  const first = start + NFGENMSG_BYTES;
  if (first > end) throw new DecodeError(`a body of ${end - start} bytes`);
  // Where each begins; of one that is repeated the last counts, as in `decodeAttributes`.
  let idAt = NOWHERE;
  let markAt = NOWHERE;
  let statusAt = NOWHERE;
  let originalAt = NOWHERE;
  let replyAt = NOWHERE;
  for (let offset = first; offset < end; ) {
    const length = attributeLengthAt(bytes, offset, end);
    switch (readU16(bytes, offset + 2) & NLA_TYPE_MASK) {
      case CTA_ID:
        idAt = offset;
        break;
      case CTA_MARK:
        markAt = offset;
        break;
      case CTA_STATUS:
        statusAt = offset;
        break;
      case CTA_COUNTERS_ORIG:
        originalAt = offset;
        break;
      case CTA_COUNTERS_REPLY:
        replyAt = offset;
        break;
    }
    offset += align4(length);
  }
  if (idAt === NOWHERE) throw new DecodeError('CTA_ID is missing');
  into.id = u32At(bytes, idAt);
  into.mark = markAt === NOWHERE ? 0 : u32At(bytes, markAt);
  into.status = statusAt === NOWHERE ? 0 : u32At(bytes, statusAt);
  const hasOriginal = readDirection(bytes, originalAt, into.original);
  const hasReply = readDirection(bytes, replyAt, into.reply);
  into.isCounted = hasOriginal && hasReply;
}

/** Of the nest at `nest`. Whether both numbers are in it. */
function readDirection(bytes: Uint8Array, nest: number, into: DirectionCounts): boolean {
  let packetsAt = NOWHERE;
  let bytesAt = NOWHERE;
  const end = nest === NOWHERE ? NOWHERE : nest + readU16(bytes, nest);
  for (let offset = nest + NLA_HDRLEN; offset < end; ) {
    const length = attributeLengthAt(bytes, offset, end);
    switch (readU16(bytes, offset + 2) & NLA_TYPE_MASK) {
      case CTA_COUNTERS_PACKETS:
        packetsAt = offset;
        break;
      case CTA_COUNTERS_BYTES:
        bytesAt = offset;
        break;
    }
    offset += align4(length);
  }
  const isWhole = packetsAt !== NOWHERE && bytesAt !== NOWHERE;
  into.packets = isWhole ? u64At(bytes, packetsAt) : 0;
  into.bytes = isWhole ? u64At(bytes, bytesAt) : 0;
  return isWhole;
}

function u32At(bytes: Uint8Array, attribute: number): number {
  requirePayload(bytes, attribute, 4);
  return readU32Be(bytes, attribute + NLA_HDRLEN);
}

function u64At(bytes: Uint8Array, attribute: number): number {
  requirePayload(bytes, attribute, 8);
  return readU32Be(bytes, attribute + NLA_HDRLEN) * HIGH_WORD + readU32Be(bytes, attribute + NLA_HDRLEN + 4);
}

function requirePayload(bytes: Uint8Array, attribute: number, width: number): void {
  const length = readU16(bytes, attribute) - NLA_HDRLEN;
  if (length < width) throw new DecodeError(`${width} bytes wanted in an attribute of ${length}`);
}
