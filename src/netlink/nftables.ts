/**
 * nf_tables changes and events (linux/netfilter/nf_tables.h; integers in network order). Every change stands in a batch: all of it
 * takes effect, or nothing. Only set elements are written this way; the ruleset itself is text for nft(8).
 */
import { decodeString, encodeU32Be, requireAttribute } from './attribute.ts';
import { concatBytes, readU32Be } from './bytes.ts';
import { encodeMessage, type NetlinkMessage, type NetlinkRequest } from './message.ts';
import { decodeNfnetlink, encodeNfnetlink, nfnetlinkType, requireMessageType } from './nfnetlink.ts';
import { AF_UNSPEC, NFNL_SUBSYS_NFTABLES, NLM_F_REQUEST, NLMSG_MIN_TYPE } from './uapi.ts';

/** These two have no subsystem in their type; it stands in the resource id. */
const NFNL_MSG_BATCH_BEGIN = NLMSG_MIN_TYPE;
const NFNL_MSG_BATCH_END: number = NLMSG_MIN_TYPE + 1;
const NFNL_SUBSYS_NONE = 0;
const NFNL_BATCH_GENID = 1;

/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE, NFTA_OBJ_TABLE, NFTA_FLOWTABLE_TABLE */
const NFTA_TABLE = 1;
const NFT_MSG_NEWGEN = 15;
const NFT_MSG_GETGEN = 16;
const NFTA_GEN_ID = 1;
const NFTA_GEN_PROC_PID = 2;
const NFTA_GEN_PROC_NAME = 3;

/** The message type of a new generation: an event of NFNLGRP_NFTABLES, and the answer to `encodeGenerationGet`. */
export const NFTABLES_GENERATION: number = nfnetlinkType(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN);

/**
 * `sequence` is the begin message's; the requests follow with `sequence` + 1 and on, and the end has the last.
 * `generation`: refuse with ERESTART where the ruleset has meanwhile changed from that.
 */
export interface Batch {
  readonly requests: readonly NetlinkRequest[];
  readonly sequence: number;
  readonly generation?: number;
}

/** One datagram, to be sent by one call. Each request with NLM_F_ACK is acknowledged under its own number. */
export function encodeBatch(batch: Batch): Uint8Array {
  const generation = batch.generation === undefined ? [] : [encodeU32Be(NFNL_BATCH_GENID, batch.generation)];
  const requests = [
    encodeBatchEdge(NFNL_MSG_BATCH_BEGIN, generation),
    ...batch.requests,
    encodeBatchEdge(NFNL_MSG_BATCH_END, []),
  ];
  return concatBytes(
    requests.map((request, index) => encodeMessage({ ...request, sequence: (batch.sequence + index) >>> 0 })),
  );
}

function encodeBatchEdge(operation: number, attributes: readonly Uint8Array[]): NetlinkRequest {
  const header = { subsystem: NFNL_SUBSYS_NONE, operation, flags: NLM_F_REQUEST, family: AF_UNSPEC };
  return encodeNfnetlink({ ...header, resourceId: NFNL_SUBSYS_NFTABLES }, attributes);
}

/** Who last changed the ruleset. Without `pid` and `processName` on kernels before 4.14. */
export interface Generation {
  readonly generation: number;
  readonly pid?: number;
  readonly processName?: string;
}

export function encodeGenerationGet(): NetlinkRequest {
  const header = { subsystem: NFNL_SUBSYS_NFTABLES, operation: NFT_MSG_GETGEN, flags: NLM_F_REQUEST };
  return encodeNfnetlink({ ...header, family: AF_UNSPEC, resourceId: 0 }, []);
}

/** Throws DecodeError. */
export function decodeGeneration(message: NetlinkMessage): Generation {
  requireMessageType(message, [NFTABLES_GENERATION]);
  const { attributes } = decodeNfnetlink(message);
  const pid = attributes.get(NFTA_GEN_PROC_PID);
  const processName = attributes.get(NFTA_GEN_PROC_NAME);
  return {
    generation: readU32Be(requireAttribute(attributes, NFTA_GEN_ID, 'NFTA_GEN_ID')),
    ...(pid !== undefined && { pid: readU32Be(pid) }),
    ...(processName !== undefined && { processName: decodeString(processName) }),
  };
}

/** The name of the table of which an event of NFNLGRP_NFTABLES tells, whatever of it changed; `undefined` for a generation. Throws DecodeError. */
export function decodeTableOfEvent(message: NetlinkMessage): string | undefined {
  if (message.type === NFTABLES_GENERATION) return undefined;
  const { subsystem, attributes } = decodeNfnetlink(message);
  const table = subsystem === NFNL_SUBSYS_NFTABLES ? attributes.get(NFTA_TABLE) : undefined;
  return table && decodeString(table);
}
