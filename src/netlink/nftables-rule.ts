/**
 * Rules of nf_tables (linux/netfilter/nf_tables.h): added and flushed without starting nft(8), with the few expressions of rules that
 * change while uplinks come and go. Numbers of the protocol are in network order; what is compared and loaded is bytes as registers
 * have them: addresses in network order, marks in host order.
 */
import { encodeAttribute, encodeNested, encodeString, encodeU32Be } from './attribute.ts';
import type { NetlinkRequest } from './message.ts';
import { encodeNfnetlink } from './nfnetlink.ts';
import { type ElementData, encodeData } from './nftables-element.ts';
import { NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST } from './uapi.ts';

const NFT_MSG_NEWRULE = 6;
const NFT_MSG_DELRULE = 8;

const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;

/** The one register in use: each expression takes what the one before has left there. */
const NFT_REG_1 = 1;
const NFT_REG_VERDICT = 0;

const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFTA_META_SREG = 3;
export const NFT_META_MARK = 3;
export const NFT_META_OIFNAME = 7;
export const NFT_META_NFPROTO = 15;

const NFTA_PAYLOAD_DREG = 1;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFT_PAYLOAD_NETWORK_HEADER = 1;

const NFTA_CMP_SREG = 1;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;

const NFTA_LOOKUP_SET = 1;
const NFTA_LOOKUP_SREG = 2;
const NFTA_LOOKUP_FLAGS = 5;
const NFT_LOOKUP_F_INV = 1;

const NFTA_BITWISE_SREG = 1;
const NFTA_BITWISE_DREG = 2;
const NFTA_BITWISE_LEN = 3;
const NFTA_BITWISE_MASK = 4;
const NFTA_BITWISE_XOR = 5;

const NFTA_IMMEDIATE_DREG = 1;
const NFTA_IMMEDIATE_DATA = 2;

/** `family` NFPROTO_*. */
export interface ChainAddress {
  readonly family: number;
  readonly table: string;
  readonly chain: string;
}

/** One step of a rule. `key` NFT_META_*. `load network`: bytes of the network header. */
export type RuleStep =
  | { readonly kind: 'load meta'; readonly key: number }
  | { readonly kind: 'store meta'; readonly key: number }
  | { readonly kind: 'load network'; readonly offset: number; readonly length: number }
  | { readonly kind: 'compare'; readonly negate: boolean; readonly bytes: Uint8Array }
  | { readonly kind: 'lookup'; readonly negate: boolean; readonly set: string }
  /** `register = register & mask ^ xor`. */
  | { readonly kind: 'bitwise'; readonly mask: Uint8Array; readonly xor: Uint8Array }
  | { readonly kind: 'verdict'; readonly data: Extract<ElementData, { readonly kind: 'verdict' }> }
  | { readonly kind: 'counter' }
  | { readonly kind: 'masquerade' };

/** For `encodeBatch`: behind all rules of the chain. ENOENT where the chain, or what the rule names, is not there. */
export function encodeRuleAppend(chain: ChainAddress, steps: readonly RuleStep[]): NetlinkRequest {
  const expressions = steps.map((step) => encodeNested(NFTA_LIST_ELEM, encodeStep(step)));
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
  return encodeRuleMessage(chain, NFT_MSG_NEWRULE, flags, [encodeNested(NFTA_RULE_EXPRESSIONS, expressions)]);
}

/** For `encodeBatch`: all rules of the chain. ENOENT where it is not there. */
export function encodeChainFlush(chain: ChainAddress): NetlinkRequest {
  return encodeRuleMessage(chain, NFT_MSG_DELRULE, NLM_F_REQUEST | NLM_F_ACK, []);
}

function encodeRuleMessage(
  { family, table, chain }: ChainAddress,
  operation: number,
  flags: number,
  attributes: readonly Uint8Array[],
): NetlinkRequest {
  const header = { subsystem: NFNL_SUBSYS_NFTABLES, operation, flags, family, resourceId: 0 };
  const names = [encodeString(NFTA_RULE_TABLE, table), encodeString(NFTA_RULE_CHAIN, chain)];
  return encodeNfnetlink(header, [...names, ...attributes]);
}

const expression = (name: string, data: readonly Uint8Array[]): Uint8Array[] => [
  encodeString(NFTA_EXPR_NAME, name),
  encodeNested(NFTA_EXPR_DATA, data),
];

const value = (type: number, bytes: Uint8Array): Uint8Array =>
  encodeNested(type, [encodeData({ kind: 'value', bytes })]);

function encodeStep(step: RuleStep): Uint8Array[] {
  switch (step.kind) {
    case 'load meta':
      return expression('meta', [encodeU32Be(NFTA_META_KEY, step.key), encodeU32Be(NFTA_META_DREG, NFT_REG_1)]);
    case 'store meta':
      return expression('meta', [encodeU32Be(NFTA_META_KEY, step.key), encodeU32Be(NFTA_META_SREG, NFT_REG_1)]);
    case 'load network':
      return expression('payload', [
        encodeU32Be(NFTA_PAYLOAD_DREG, NFT_REG_1),
        encodeU32Be(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER),
        encodeU32Be(NFTA_PAYLOAD_OFFSET, step.offset),
        encodeU32Be(NFTA_PAYLOAD_LEN, step.length),
      ]);
    case 'compare':
      return expression('cmp', [
        encodeU32Be(NFTA_CMP_SREG, NFT_REG_1),
        encodeU32Be(NFTA_CMP_OP, step.negate ? NFT_CMP_NEQ : NFT_CMP_EQ),
        value(NFTA_CMP_DATA, step.bytes),
      ]);
    case 'lookup':
      return expression('lookup', [
        encodeString(NFTA_LOOKUP_SET, step.set),
        encodeU32Be(NFTA_LOOKUP_SREG, NFT_REG_1),
        ...(step.negate ? [encodeU32Be(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV)] : []),
      ]);
    case 'bitwise':
      return expression('bitwise', [
        encodeU32Be(NFTA_BITWISE_SREG, NFT_REG_1),
        encodeU32Be(NFTA_BITWISE_DREG, NFT_REG_1),
        encodeU32Be(NFTA_BITWISE_LEN, step.mask.length),
        value(NFTA_BITWISE_MASK, step.mask),
        value(NFTA_BITWISE_XOR, step.xor),
      ]);
    case 'verdict':
      return expression('immediate', [
        encodeU32Be(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT),
        encodeNested(NFTA_IMMEDIATE_DATA, [encodeData(step.data)]),
      ]);
    case 'counter':
      return [encodeString(NFTA_EXPR_NAME, 'counter'), encodeAttribute(NFTA_EXPR_DATA, new Uint8Array(0))];
    case 'masquerade':
      return [encodeString(NFTA_EXPR_NAME, 'masq'), encodeAttribute(NFTA_EXPR_DATA, new Uint8Array(0))];
  }
}
