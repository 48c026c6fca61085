/**
 * Elements of nf_tables sets and maps (linux/netfilter/nf_tables.h): added, deleted and read without starting nft(8).
 * Numbers of the protocol are in network order; keys and values are bytes as the set's type has them in registers:
 * addresses and ports in network order, marks and cgroupsv2 ids in host order; parts of a concatenation are padded to 4 bytes each.
 */
import {
  type Attributes,
  attributeList,
  decodeAttributes,
  decodeNested,
  decodeString,
  encodeAttribute,
  encodeNested,
  encodeString,
  encodeU32Be,
  MAX_ATTRIBUTE_PAYLOAD,
  requireAttribute,
} from './attribute.ts';
import { readI32Be, readU32Be, readU64Be, u64Be } from './bytes.ts';
import { DecodeError } from './errors.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { decodeNfnetlink, encodeNfnetlink, nfnetlinkType, requireMessageType } from './nfnetlink.ts';
import { NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './uapi.ts';

const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;

/** The message types of elements: answers to a dump and events (added); events (deleted). */
export const NFTABLES_NEW_ELEMENTS: number = nfnetlinkType(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSETELEM);
export const NFTABLES_DELETED_ELEMENTS: number = nfnetlinkType(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELSETELEM);

/** Verdicts beside NF_ACCEPT and NF_DROP. */
export const NFT_CONTINUE = -1;
export const NFT_JUMP = -3;
export const NFT_GOTO = -4;
export const NFT_RETURN = -5;

const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_TIMEOUT = 4;
const NFTA_SET_ELEM_EXPIRATION = 5;
const NFTA_SET_ELEM_KEY_END = 10;
const NFT_SET_ELEM_INTERVAL_END = 0x1;
const NFT_SET_ELEM_CATCHALL = 0x2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;

/** `family` NFPROTO_*. */
export interface SetAddress {
  readonly family: number;
  readonly table: string;
  readonly set: string;
}

/** `verdict`: NF_ACCEPT, NF_DROP, NFT_RETURN, NFT_CONTINUE; with `chain` NFT_JUMP or NFT_GOTO. */
export type ElementData =
  | { readonly kind: 'value'; readonly bytes: Uint8Array }
  | { readonly kind: 'verdict'; readonly verdict: number; readonly chain?: string };

/**
 * `key` is empty for the catch-all element only. `keyEnd`: last key of an interval in a concatenation; plain interval sets use a second
 * element with `intervalEnd`. `expiresInMs` is only read. `timeoutMs` needs a set with the `timeout` flag.
 */
export interface SetElement {
  readonly key: Uint8Array;
  readonly keyEnd?: Uint8Array;
  readonly intervalEnd?: boolean;
  readonly data?: ElementData;
  readonly timeoutMs?: number;
  readonly expiresInMs?: number;
}

/**
 * Requests for `encodeBatch`; several where one would outgrow an attribute. An element that is there already with the same data is no
 * error with `keep` and EEXIST with `fail`; with other data it is EEXIST always. Only newer kernels take a new timeout by `keep`;
 * add, delete, add in one batch does it on all, whether the element was there or not.
 */
export function encodeElementAdd(
  set: SetAddress,
  elements: readonly SetElement[],
  options: { readonly ifExists: 'keep' | 'fail' },
): NetlinkRequest[] {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | (options.ifExists === 'fail' ? NLM_F_EXCL : 0);
  return encodeElements(set, NFT_MSG_NEWSETELEM, flags, elements.map(encodeElement));
}

/** Requests for `encodeBatch`. ENOENT, and so nothing of the batch, where one of the keys is not there. */
export function encodeElementDelete(
  set: SetAddress,
  elements: readonly Pick<SetElement, 'key' | 'keyEnd' | 'intervalEnd'>[],
): NetlinkRequest[] {
  const keys = elements.map(({ key, keyEnd, intervalEnd }) =>
    encodeElement({ key, ...(keyEnd && { keyEnd }), ...(intervalEnd && { intervalEnd }) }),
  );
  return encodeElements(set, NFT_MSG_DELSETELEM, NLM_F_REQUEST | NLM_F_ACK, keys);
}

/** Not part of a batch. */
export function encodeElementDump(set: SetAddress): NetlinkRequest {
  return encodeElementMessage(set, NFT_MSG_GETSETELEM, NLM_F_REQUEST | NLM_F_DUMP, []);
}

function encodeElementMessage(
  { family, table, set }: SetAddress,
  operation: number,
  flags: number,
  attributes: readonly Uint8Array[],
): NetlinkRequest {
  const header = { subsystem: NFNL_SUBSYS_NFTABLES, operation, flags, family, resourceId: 0 };
  const names = [encodeString(NFTA_SET_ELEM_LIST_TABLE, table), encodeString(NFTA_SET_ELEM_LIST_SET, set)];
  return encodeNfnetlink(header, [...names, ...attributes]);
}

function encodeElements(
  set: SetAddress,
  operation: number,
  flags: number,
  elements: readonly Uint8Array[],
): NetlinkRequest[] {
  return splitBySize(elements).map((part) =>
    encodeElementMessage(set, operation, flags, [encodeNested(NFTA_SET_ELEM_LIST_ELEMENTS, part)]),
  );
}

function splitBySize(elements: readonly Uint8Array[]): Uint8Array[][] {
  const parts: Uint8Array[][] = [];
  let size = MAX_ATTRIBUTE_PAYLOAD;
  for (const element of elements) {
    size += element.length;
    if (size > MAX_ATTRIBUTE_PAYLOAD) {
      parts.push([]);
      size = element.length;
    }
    parts.at(-1)?.push(element);
  }
  return parts;
}

function encodeElement(element: SetElement): Uint8Array {
  const { key, keyEnd, data, timeoutMs } = element;
  const flags = (element.intervalEnd ? NFT_SET_ELEM_INTERVAL_END : 0) | (key.length === 0 ? NFT_SET_ELEM_CATCHALL : 0);
  return encodeNested(NFTA_LIST_ELEM, [
    ...(key.length === 0 ? [] : [encodeNested(NFTA_SET_ELEM_KEY, [encodeAttribute(NFTA_DATA_VALUE, key)])]),
    ...(keyEnd === undefined ? [] : [encodeNested(NFTA_SET_ELEM_KEY_END, [encodeAttribute(NFTA_DATA_VALUE, keyEnd)])]),
    ...(flags === 0 ? [] : [encodeU32Be(NFTA_SET_ELEM_FLAGS, flags)]),
    ...(timeoutMs === undefined ? [] : [encodeAttribute(NFTA_SET_ELEM_TIMEOUT, u64Be(BigInt(timeoutMs)))]),
    ...(data === undefined ? [] : [encodeNested(NFTA_SET_ELEM_DATA, [encodeData(data)])]),
  ]);
}

/** What stands in a NFTA_SET_ELEM_DATA, and wherever else a rule has data. */
export function encodeData(data: ElementData): Uint8Array {
  switch (data.kind) {
    case 'value':
      return encodeAttribute(NFTA_DATA_VALUE, data.bytes);
    case 'verdict':
      return encodeNested(NFTA_DATA_VERDICT, [
        encodeU32Be(NFTA_VERDICT_CODE, data.verdict >>> 0),
        ...(data.chain === undefined ? [] : [encodeString(NFTA_VERDICT_CHAIN, data.chain)]),
      ]);
  }
}

/** Elements that are there, added or deleted: the caller looks at the message's type. Throws DecodeError. */
export function decodeElements(message: NetlinkMessage): SetAddress & { readonly elements: readonly SetElement[] } {
  requireMessageType(message, [NFTABLES_NEW_ELEMENTS, NFTABLES_DELETED_ELEMENTS]);
  const { family, attributes } = decodeNfnetlink(message);
  const list = attributes.get(NFTA_SET_ELEM_LIST_ELEMENTS);
  const elements = list === undefined ? [] : attributeList(list).filter(({ type }) => type === NFTA_LIST_ELEM);
  return {
    family,
    table: decodeString(requireAttribute(attributes, NFTA_SET_ELEM_LIST_TABLE, 'NFTA_SET_ELEM_LIST_TABLE')),
    set: decodeString(requireAttribute(attributes, NFTA_SET_ELEM_LIST_SET, 'NFTA_SET_ELEM_LIST_SET')),
    elements: elements.map(({ payload }) => decodeElement(decodeAttributes(payload))),
  };
}

function decodeElement(attributes: Attributes): SetElement {
  const flags = attributes.get(NFTA_SET_ELEM_FLAGS);
  const key = decodeNested(attributes, NFTA_SET_ELEM_KEY).get(NFTA_DATA_VALUE) ?? new Uint8Array(0);
  const keyEnd = decodeNested(attributes, NFTA_SET_ELEM_KEY_END).get(NFTA_DATA_VALUE);
  const data = attributes.get(NFTA_SET_ELEM_DATA);
  const timeout = attributes.get(NFTA_SET_ELEM_TIMEOUT);
  const expiration = attributes.get(NFTA_SET_ELEM_EXPIRATION);
  const intervalEnd = flags !== undefined && (readU32Be(flags) & NFT_SET_ELEM_INTERVAL_END) !== 0;
  return {
    key,
    ...(keyEnd !== undefined && { keyEnd }),
    ...(intervalEnd && { intervalEnd }),
    ...(data !== undefined && { data: decodeData(decodeAttributes(data)) }),
    ...(timeout !== undefined && { timeoutMs: Number(readU64Be(timeout)) }),
    ...(expiration !== undefined && { expiresInMs: Number(readU64Be(expiration)) }),
  };
}

function decodeData(attributes: Attributes): ElementData {
  const bytes = attributes.get(NFTA_DATA_VALUE);
  if (bytes !== undefined) return { kind: 'value', bytes };
  if (!attributes.has(NFTA_DATA_VERDICT)) throw new DecodeError('element data is neither value nor verdict');
  const verdict = decodeNested(attributes, NFTA_DATA_VERDICT);
  const chain = verdict.get(NFTA_VERDICT_CHAIN);
  return {
    kind: 'verdict',
    verdict: readI32Be(requireAttribute(verdict, NFTA_VERDICT_CODE, 'NFTA_VERDICT_CODE')),
    ...(chain !== undefined && { chain: decodeString(chain) }),
  };
}
